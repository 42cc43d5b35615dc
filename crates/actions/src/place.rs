//! Places in the file system that a task may name: below the project's root, or below a folder
//! that the configuration allows. Nothing else, by whatever links.

use oncely_core::action::Failure;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// The folders below which a task may name places.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ground {
    /// Where relative paths start.
    pub(crate) root: PathBuf,
    /// Folders below which absolute paths may lie.
    pub(crate) allowed: Vec<PathBuf>,
}

/// A place below one of the folders of a [`Ground`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    base: PathBuf,
    below: Vec<OsString>,
}

impl Ground {
    /// The place that a path names. Links are judged when it is opened.
    pub(crate) fn place(&self, path: &str) -> Result<Place, Failure> {
        let path = Path::new(path);
        let (base, rest) = self.split(path).ok_or_else(|| self.outside(path))?;
        let below = rest.components().map(|component| match component {
            Component::Normal(name) => Some(Some(name.to_owned())),
            Component::CurDir => Some(None),
            _ => None,
        });
        let below: Option<Vec<_>> = below.collect();
        let below = below.ok_or_else(|| self.outside(path))?;
        Ok(Place {
            base: base.to_owned(),
            below: below.into_iter().flatten().collect(),
        })
    }

    fn split<'a>(&'a self, path: &'a Path) -> Option<(&'a Path, &'a Path)> {
        if path.is_relative() {
            return Some((&self.root, path));
        }
        let folders = std::iter::once(&self.root).chain(&self.allowed);
        folders
            .filter_map(|folder| Some((folder.as_path(), path.strip_prefix(folder).ok()?)))
            .max_by_key(|(folder, _)| folder.components().count())
    }

    fn outside(&self, path: &Path) -> Failure {
        Failure::permanent(format!(
            "{} lies outside of what a task may touch: use a path below the project's root, \
             without `..`, or have its folder allowed in oncely.toml",
            path.display()
        ))
    }
}

impl Place {
    /// The whole path, as people read it.
    pub(crate) fn path(&self) -> PathBuf {
        let below: PathBuf = self.below.iter().collect();
        self.base.join(below)
    }

    /// The folder that it lies in, and its name there.
    pub(crate) fn in_folder(&self) -> Result<(Self, &OsString), Failure> {
        let (name, below) = self
            .below
            .split_last()
            .ok_or_else(|| Failure::permanent("a file was expected, and a folder is named"))?;
        let folder = Self {
            base: self.base.clone(),
            below: below.to_vec(),
        };
        Ok((folder, name))
    }

    /// Opens it as a folder.
    pub(crate) fn open_folder(&self) -> Result<OwnedFd, Failure> {
        self.open(OFlags::DIRECTORY | OFlags::RDONLY)
            .map_err(|error| self.failed("open", error))
    }

    /// Opens it as a file to read.
    pub(crate) fn open_file(&self) -> Result<File, Failure> {
        self.open(OFlags::RDONLY | OFlags::NONBLOCK)
            .map(File::from)
            .map_err(|error| self.failed("read", error))
    }

    /// Opens it as a folder, making what is missing on the way to it.
    pub(crate) fn make_folder(&self) -> Result<OwnedFd, Failure> {
        let base = rustix::fs::open(&self.base, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let mut folder = base.map_err(|error| self.failed("open", error.into()))?;
        let mut so_far = PathBuf::new();
        for name in &self.below {
            so_far.push(name);
            match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(self.failed("make the folder", error.into())),
            }
            let flags = OFlags::DIRECTORY | OFlags::RDONLY;
            let next = Self {
                base: self.base.clone(),
                below: so_far.iter().map(ToOwned::to_owned).collect(),
            };
            let opened = next.open(flags);
            folder = opened.map_err(|error| self.failed("open", error))?;
        }
        match self.below.is_empty() {
            true => self.open_folder(),
            false => Ok(folder),
        }
    }

    fn open(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let base = rustix::fs::open(&self.base, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let below: PathBuf = match self.below.is_empty() {
            true => ".".into(),
            false => self.below.iter().collect(),
        };
        let flags = flags | OFlags::CLOEXEC;
        let rules = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(base.as_fd(), &below, flags, Mode::empty(), rules) {
            // A kernel or a sandbox without openat2.
            Err(Errno::NOSYS | Errno::PERM) => self.open_checked(flags),
            other => Ok(other?),
        }
    }

    /// The second best: looks where the links lead, then opens that.
    fn open_checked(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let base = self.base.canonicalize()?;
        let real = self.path().canonicalize()?;
        if !real.starts_with(&base) {
            return Err(Errno::XDEV.into());
        }
        let flags = flags | OFlags::NOFOLLOW;
        Ok(rustix::fs::open(&real, flags, Mode::empty())?)
    }

    /// What went wrong at this place, in words, and whether trying again may help.
    pub(crate) fn failed(&self, verb: &str, error: io::Error) -> Failure {
        failed(verb, &self.path(), error)
    }
}

/// What went wrong with a file, in words, and whether trying again may help.
pub(crate) fn failed(verb: &str, path: &Path, error: io::Error) -> Failure {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::CrossesDevices => Failure::permanent(format!(
            "cannot {verb} {path}: a link on the way leads out of the folders that a task may touch"
        )),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::retry(format!(
            "cannot {verb} {path}: {error}; make room on the disk"
        )),
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::InvalidFilename => {
            Failure::permanent(format!("cannot {verb} {path}: {error}"))
        }
        _ => Failure::retry(format!("cannot {verb} {path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn ground(root: &Path, allowed: &Path) -> Ground {
        Ground {
            root: root.to_owned(),
            allowed: vec![allowed.to_owned()],
        }
    }

    #[test]
    fn paths_out_of_the_ground_are_refused() {
        let ground = ground(Path::new("/srv/app"), Path::new("/srv/out"));
        for path in [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "/srv/apple",
            "/srv/out/../x",
        ] {
            assert!(ground.place(path).is_err(), "{path}");
        }
        for path in ["x", "./a/b", "/srv/out/x", "/srv/app/x"] {
            assert!(ground.place(path).is_ok(), "{path}");
        }
        insta::assert_snapshot!(ground.place("../x").unwrap_err().error(), @"../x lies outside of what a task may touch: use a path below the project's root, without `..`, or have its folder allowed in oncely.toml");
    }

    #[test]
    fn links_may_lead_within_the_ground_and_not_out_of_it() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(root.path().join("releases")).unwrap();
        std::fs::write(root.path().join("releases/x"), "in").unwrap();
        std::fs::write(other.path().join("x"), "out").unwrap();
        symlink("releases", root.path().join("current")).unwrap();
        symlink(other.path(), root.path().join("away")).unwrap();
        let ground = ground(root.path(), Path::new("/nowhere"));
        assert!(ground.place("current/x").unwrap().open_file().is_ok());
        let refused = ground.place("away/x").unwrap().open_file().unwrap_err();
        assert!(refused.error().contains("leads out"), "{refused:?}");
        let refused = ground.place("away/y").unwrap();
        assert!(refused.in_folder().unwrap().0.make_folder().is_err());
    }

    #[test]
    fn without_openat2_links_are_judged_all_the_same() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(root.path().join("x"), "in").unwrap();
        std::fs::write(other.path().join("x"), "out").unwrap();
        symlink(other.path(), root.path().join("away")).unwrap();
        let ground = ground(root.path(), Path::new("/nowhere"));
        let open = |path| {
            ground
                .place(path)
                .unwrap()
                .open_checked(OFlags::RDONLY | OFlags::CLOEXEC)
        };
        assert!(open("x").is_ok());
        assert!(open("away/x").is_err());
    }

    #[test]
    fn missing_folders_are_made() {
        let root = tempfile::tempdir().unwrap();
        let ground = ground(root.path(), Path::new("/nowhere"));
        ground.place("a/b/c").unwrap().make_folder().unwrap();
        assert!(root.path().join("a/b/c").is_dir());
    }
}
