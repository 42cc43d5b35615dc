//! A Rails application for tests, with tasks of the gem after_party: made by the test that needs it,
//! and never skipped. What is real and what is not stands in `tests/rails/application.rb`.

use crate::project::{Ended, Project};
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Where the application's database is, from its root, as Rails writes it.
pub(crate) const DATABASE: &str = "sqlite3:db/app.sqlite3";

/// An application with the table of after_party, and a project in it that adopts its files.
pub(crate) fn shop() -> Project {
    let mut project = Project::new().variable("DATABASE_URL", DATABASE);
    // The folder `lib` of the gem itself, where somebody has it: ONCELY_TEST_RUBYLIB.
    if let Ok(gem) = std::env::var("ONCELY_TEST_RUBYLIB") {
        project = project.variable("RUBYLIB", &gem);
    }
    for (path, text) in [
        (
            "config/application.rb",
            include_str!("../rails/application.rb"),
        ),
        (
            "vendor/after_party.rb",
            include_str!("../rails/after_party.rb"),
        ),
        ("bin/rails", include_str!("../rails/rails.rb")),
        ("config/boot.rb", ""),
        (
            "config/environment.rb",
            "require_relative 'application'\nRails.application.initialize!\n",
        ),
        (
            "config/initializers/after_party.rb",
            "AfterParty.setup { begin; require 'after_party/active_record'; rescue LoadError; end }\n",
        ),
        (
            "Rakefile",
            "require_relative 'config/application'\nRails.application.load_tasks\n",
        ),
    ] {
        project.write(path, text);
    }
    let rails = project.path("bin/rails");
    std::fs::set_permissions(rails, std::fs::Permissions::from_mode(0o755)).unwrap();
    configure(&project, "[adopt.rake]\ndir = \"lib/tasks/deployment\"\n");
    std::fs::create_dir_all(project.path("lib/tasks/deployment")).unwrap();
    std::fs::create_dir_all(project.path("db")).unwrap();
    database(&project)
        .execute_batch("create table task_records (version varchar not null)")
        .unwrap();
    project
}

/// Adds lines to the project's configuration.
pub(crate) fn configure(project: &Project, lines: &str) {
    let text = project.text("oncely.toml");
    project.write("oncely.toml", format!("{text}\n{lines}"));
}

pub(crate) fn database(project: &Project) -> Connection {
    Connection::open(project.path("db/app.sqlite3")).unwrap()
}

/// What stands in the table, in the order in which it was written.
pub(crate) fn recorded(project: &Project) -> Vec<String> {
    let database = database(project);
    let mut found = database
        .prepare("select version from task_records order by rowid")
        .unwrap();
    let rows = found.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

pub(crate) fn record(project: &Project, version: &str) {
    let add = "insert into task_records values (?1)";
    database(project).execute(add, [version]).unwrap();
}

/// A file as after_party's generator writes it, whose task adds its name to `out`. Without `records`
/// the line is taken out that writes the row.
pub(crate) fn rake_file(project: &Project, version: &str, name: &str, records: bool) {
    let row = "    AfterParty::TaskRecord
      .create version: AfterParty::TaskRecorder.new(__FILE__).timestamp\n";
    let text = format!(
        "namespace :after_party do
  desc 'Deployment task: {name}'
  task {name}: :environment do
    File.write(Rails.root.join('out'), \"{name}\\n\", mode: 'a')
{}  end
end\n",
        if records { row } else { "" }
    );
    project.write(&format!("lib/tasks/deployment/{version}_{name}.rake"), text);
}

/// The application's own command.
pub(crate) fn rails(project: &Project, args: &[&str]) -> Ended {
    assert!(
        Path::new("/usr/bin/ruby").exists(),
        "Ruby is not installed: `apt-get install ruby-railties ruby-activerecord ruby-sqlite3`, then \
         run the tests again"
    );
    let like = project.command(&[]);
    let mut command = Command::new("bin/rails");
    command.args(args).current_dir(project.path(""));
    command.env_clear();
    let variables = like.get_envs();
    command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    project.ended(command)
}
