//! What people get: the archive and the gem, made by the scripts in `dist/`.

use crate::project::{ONCELY, Project};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.ancestors().nth(2).unwrap().to_owned()
}

/// Runs a command to its end; it must succeed. Its standard output.
pub(crate) fn done(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?} cannot be started: {error}; ./check installs what tests need")
    });
    let out = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{out}{err}");
    out
}

fn script(name: &str) -> Command {
    Command::new(repository().join("dist").join(name))
}

/// The program without what debuggers read: small enough to be packed in seconds.
fn program(folder: &Path) -> PathBuf {
    let path = folder.join("stripped");
    done(Command::new("strip").arg("-o").arg(&path).arg(ONCELY));
    path
}

fn packed(binary: &Path, out: &Path) -> PathBuf {
    let mut build = script("build");
    build.arg("--binary").arg(binary).arg("--out").arg(out);
    let said = done(&mut build);
    let first = said.lines().next().unwrap();
    assert!(said.contains("sha256"), "{said}");
    PathBuf::from(first)
}

/// A gem of this program, installed in a home of its own.
struct Gems {
    home: PathBuf,
}

impl Gems {
    fn installed(project: &Project) -> Self {
        let archive = packed(&program(&project.root), &project.path("out"));
        let gem = done(script("gem").arg(archive));
        let gems = Self {
            home: project.path("gems"),
        };
        let mut install = gems.command("gem", project);
        install.args(["install", "--local", "--no-document", gem.trim()]);
        done(&mut install);
        gems
    }

    /// A command that finds the gem, and those of the system.
    fn command(&self, name: &str, project: &Project) -> Command {
        let mut command = project.program(name);
        let path = format!("{}/bin:/usr/local/bin:/usr/bin:/bin", self.home.display());
        command.env("GEM_HOME", &self.home).env("PATH", path);
        // As root, bundler says so each time.
        command.env("BUNDLE_SILENCE_ROOT_WARNING", "1");
        command
    }
}

#[test]
fn the_archive_holds_the_program_and_its_checksum_is_right() {
    let project = Project::empty();
    let archive = packed(&program(&project.root), &project.path("out"));
    let name = archive.file_name().unwrap().to_str().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let arch = std::env::consts::ARCH;
    assert_eq!(name, format!("oncely-{version}-{arch}-linux.tar.gz"));
    let out = archive.parent().unwrap();
    let mut sums = Command::new("sha256sum");
    sums.arg("--check").arg(format!("{name}.sha256"));
    done(sums.current_dir(out));
    let mut unpack = Command::new("tar");
    done(unpack.arg("-xzf").arg(&archive).arg("-C").arg(out));
    let folder = out.join(name.strip_suffix(".tar.gz").unwrap());
    let said = done(Command::new(folder.join("oncely")).arg("--version"));
    assert_eq!(said, format!("oncely {version}\n"));
    let licences = std::fs::read_to_string(folder.join("THIRD-PARTY.txt")).unwrap();
    for needed in ["==== tokio 1", "Permission is hereby granted", "glibc"] {
        assert!(licences.contains(needed), "no {needed:?}");
    }
    let missing = licences
        .lines()
        .filter(|line| line.starts_with("-- "))
        .count();
    assert!(missing > 200, "only {missing} texts of licences");
    for file in [
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "deploy/systemd/oncely.service",
    ] {
        assert!(folder.join(file).is_file(), "{file}");
    }
}

#[test]
fn the_same_binary_gives_the_same_bytes() {
    let project = Project::empty();
    let binary = project.write("oncely", "#!/bin/sh\necho here\n");
    let first = packed(&binary, &project.path("one"));
    // A later copy, less readable, from another folder.
    let other = project.write("elsewhere/oncely", "#!/bin/sh\necho here\n");
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
    let second = packed(&other, &project.path("two"));
    assert_eq!(
        std::fs::read(&first).unwrap(),
        std::fs::read(&second).unwrap()
    );
    // The gem too.
    let gem = |archive: &Path| PathBuf::from(done(script("gem").arg(archive)).trim());
    let bytes = |path: PathBuf| std::fs::read(path).unwrap();
    assert_eq!(bytes(gem(&first)), bytes(gem(&second)));
}

#[test]
fn what_a_script_does_not_understand_is_refused() {
    let said = |args: &[&str]| {
        let output = script("build").args(args).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    insta::assert_snapshot!(said(&["--binery", "x"]), @"dist/build: `--binery` is not known: dist/build [--binary FILE] [--out FOLDER]. Nothing was built.");
    insta::assert_snapshot!(said(&["--binary"]), @"dist/build: --binary wants a name after it. Nothing was built.");
    insta::assert_snapshot!(said(&["--binary", "/no/such/file"]), @"dist/build: there is no file /no/such/file. Nothing was built.");
}

#[test]
fn the_gem_carries_the_program_and_rails_writes_a_task_with_it() {
    let project = Project::empty();
    let gems = Gems::installed(&project);
    let version = done(gems.command("oncely", &project).arg("--version"));
    assert_eq!(version, format!("oncely {}\n", env!("CARGO_PKG_VERSION")));

    rails_application(&project);
    done(
        gems.command("bundle", &project)
            .args(["install", "--local", "--quiet"]),
    );
    let mut generate = gems.command("bin/rails", &project);
    generate.args([
        "generate",
        "oncely:task",
        "tell_customers",
        "Tell \"them\" it is back",
    ]);
    let said = done(&mut generate);
    assert!(said.contains("_tell_customers.rb."), "{said}");
    let tasks = std::fs::read_dir(project.path("tasks")).unwrap();
    let task = tasks.map(|entry| entry.unwrap().path()).next().unwrap();
    insta::assert_snapshot!(std::fs::read_to_string(&task).unwrap(), @r##"
    #!/usr/bin/env -S bin/rails runner
    # /// oncely
    # title = 'Tell "them" it is back'
    # ///

    puts "Hello from #{ENV["ONCELY_TASK"]}"
    "##);
    let run = done(
        gems.command("bundle", &project)
            .args(["exec", "oncely", "run"]),
    );
    assert!(run.contains("done "), "{run}");

    let refused = |args: &[&str]| {
        let output = gems
            .command("bin/rails", &project)
            .args(args)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    insta::assert_snapshot!(refused(&["generate", "oncely:task", "9 lives"]), @"
    oncely: `9_lives` is no name for a task: it begins with a letter and has letters, digits and _ only, at most 100. Nothing was written.
    oncely new did not succeed; what it said stands above.
    ");
    insta::assert_snapshot!(refused(&["destroy", "oncely:task", "tell_customers"]), @"A task that has run anywhere is remembered there. Delete its file in tasks/ by hand.");
}

/// The least that is an application of Rails.
fn rails_application(project: &Project) {
    project.write(
        "Gemfile",
        "source \"https://rubygems.org\"\ngem \"railties\"\ngem \"oncely\"\n",
    );
    project.write(
        "config/application.rb",
        "require \"bundler/setup\"\nrequire \"rails\"\nBundler.require(*Rails.groups)\n\
         class Shop < Rails::Application\n  config.eager_load = false\nend\n",
    );
    project.write(
        "config/environment.rb",
        "require_relative \"application\"\nRails.application.initialize!\n",
    );
    let rails = project.write(
        "bin/rails",
        "#!/usr/bin/env ruby\nAPP_PATH = File.expand_path(\"../config/application\", __dir__)\n\
         require \"bundler/setup\"\nrequire \"rails/commands\"\n",
    );
    std::fs::set_permissions(rails, std::fs::Permissions::from_mode(0o755)).unwrap();
}
