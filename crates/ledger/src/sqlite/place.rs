//! Where a ledger lies: whether a file may be one, and whether its file system can keep a promise.

use super::words;
use oncely_core::ledger::LedgerError;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// File systems on which other machines may write too, by the number that `statfs` gives.
const NETWORK: [(i64, &str); 13] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x00c3_6400, "Ceph"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x1983_0326, "BeeGFS"),
];
const FUSE: i64 = 0x6573_5546;
/// Kinds of FUSE that reach over a network.
const NETWORK_FUSE: [&str; 8] = [
    "sshfs",
    "rclone",
    "s3fs",
    "gcsfuse",
    "glusterfs",
    "davfs",
    "ceph",
    "goofys",
];

/// What is at the path: nothing yet, or a file that may be a ledger.
pub(crate) enum Found {
    Nothing,
    File,
}

/// Looks at the path before SQLite does, so that the words are ours.
pub(crate) fn look(path: &Path) -> Result<Found, LedgerError> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(LedgerError::Unusable(format!(
            "the ledger's folder {} does not exist. Nothing was changed. Make it, or choose \
             another place with `ledger` in oncely.toml.",
            folder.display()
        )));
    }
    refuse_network(path, &folder)?;
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(Found::File),
        Ok(_) => Err(words::not_a_ledger(path.display(), "it is not a file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(words::file(path, &error)),
    }
}

/// The folder that a path is in.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn refuse_network(path: &Path, folder: &Path) -> Result<(), LedgerError> {
    let Ok(found) = rustix::fs::statfs(folder) else {
        return Ok(());
    };
    #[allow(clippy::unnecessary_cast)] // Its width differs between machines.
    match network(found.f_type as i64, || mounted_as(folder)) {
        None => Ok(()),
        Some(kind) => Err(on_network(path, &kind)),
    }
}

fn on_network(path: &Path, kind: &str) -> LedgerError {
    LedgerError::Unusable(format!(
        "the ledger {} lies on a network file system ({kind}), where file locks and shared memory \
         cannot be relied on. Nothing was changed. Choose a place on a local disk with `ledger` \
         in oncely.toml.",
        path.display()
    ))
}

/// The name of the network file system that this number stands for, if it is one.
fn network(number: i64, mounted_as: impl FnOnce() -> Option<String>) -> Option<String> {
    // 32 bits of it are meant; some systems extend the sign.
    let number = number & 0xffff_ffff;
    if number == FUSE {
        return mounted_as().filter(|kind| NETWORK_FUSE.iter().any(|n| kind.contains(n)));
    }
    let known = NETWORK.iter().find(|(n, _)| *n == number);
    known.map(|(_, name)| (*name).to_owned())
}

/// The kind of the mount that a folder is on, as the system's list of mounts says.
fn mounted_as(folder: &Path) -> Option<String> {
    let folder = std::fs::canonicalize(folder).ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mut best: Option<(usize, String)> = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(place), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        let longer = best.as_ref().is_none_or(|(len, _)| place.len() >= *len);
        if folder.starts_with(place) && longer {
            best = Some((place.len(), kind.to_owned()));
        }
    }
    best.map(|(_, kind)| kind)
}

/// A file beside the ledger.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Makes an empty file that only this user may read.
pub(crate) fn make_private(path: &Path) -> Result<(), LedgerError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| words::file(path, &error))
}

/// Nothing is there, and nothing was to be made.
pub(crate) fn missing(path: &Path) -> LedgerError {
    LedgerError::Absent(format!(
        "there is no ledger at {}. Nothing was changed. `oncely init` makes one; or choose \
         another place with `ledger` in oncely.toml.",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_refused() {
        for number in [0x6969, 0xff53_4d42, -11_317_950, 0x0102_1997] {
            assert!(network(number, || None).is_some(), "{number:x}");
        }
        assert_eq!(
            network(FUSE, || Some("fuse.sshfs".into())).as_deref(),
            Some("fuse.sshfs")
        );
        insta::assert_snapshot!(
            on_network(Path::new("/mnt/team/ledger.db"), "NFS"),
            @"the ledger /mnt/team/ledger.db lies on a network file system (NFS), where file locks and shared memory cannot be relied on. Nothing was changed. Choose a place on a local disk with `ledger` in oncely.toml."
        );
    }

    #[test]
    fn local_file_systems_are_taken() {
        for number in [0xef53, 0x9123_683e, 0x0102_1994, 0x5846_5342] {
            assert_eq!(network(number, || None), None);
        }
        assert_eq!(network(FUSE, || Some("fuseblk".into())), None);
    }
}
