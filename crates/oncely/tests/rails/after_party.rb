# Acts as the gem after_party 2.1.0 does, by what its README and its table show: for machines on which
# the gem cannot be had. It shares no code with it.
module AfterParty
  FOLDER = "lib/tasks/deployment"

  def self.setup
    yield self
  end

  class File
    attr_reader :timestamp, :name

    def self.all
      Dir[Rails.root.join(FOLDER, "*.rake").to_s].map { |path| new(path) }
    end

    def initialize(path)
      @timestamp, @name = ::File.basename(path, ".rake").match(/(\d+)_(.+)/).captures
    end

    def done?
      TaskRecord.where(version: timestamp).exists?
    end
  end

  TaskRecorder = File

  class Railtie < Rails::Railtie
    config.after_initialize do
      AfterParty.const_set(:TaskRecord, Class.new(ActiveRecord::Base) { self.table_name = "task_records" })
    end

    rake_tasks do
      namespace :after_party do
        desc "Runs what has no row, by version"
        task run: :environment do
          open = File.all.reject(&:done?).sort_by(&:timestamp)
          puts "no pending tasks to run" if open.empty?
          open.each { |file| Rake::Task["after_party:#{file.name}"].invoke }
        end

        desc "Shows what has a row"
        task status: :environment do
          puts "Status   Task ID         Task Name", "-" * 50
          File.all.each do |file|
            puts format(" %s    %s  %s", file.done? ? " up " : "down", file.timestamp, file.name.humanize.capitalize)
          end
        end
      end
    end
  end
end
