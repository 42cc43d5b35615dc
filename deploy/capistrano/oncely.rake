# lib/capistrano/tasks/oncely.rake: release tasks before the new version is current, and after. They run
# on one server, the primary one of the role :app. See docs/deploy/capistrano.md.
namespace :oncely do
  %w[before after].each do |phase|
    desc "Run the release tasks of phase #{phase}"
    task phase do
      on primary(fetch(:oncely_role, :app)) do
        within release_path do
          with oncely_env: fetch(:oncely_env, fetch(:stage)) do
            execute :oncely, "run", "--phase", phase, "--release",
                    fetch(:oncely_release, fetch(:current_revision) || fetch(:release_timestamp))
          end
        end
      end
    end
  end
end

# A task of before that fails leaves the old version; one of after fails the deploy with the new in place.
before "deploy:publishing", "oncely:before"
after "deploy:published", "oncely:after"

# What must outlive a release: a ledger in a file, and copies of files that runs read.
append :linked_dirs, ".oncely"
