//! Writing a file so that it is there whole or not at all, also after a power cut.

use super::content::{Content, Sum, copy};
use crate::place::Place;
use oncely_core::action::Failure;
use oncely_core::ids::ContentHash;
use oncely_core::points::{self, Point};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// Attempts whose leftovers are looked for.
const LEFTOVERS: u32 = 16;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) hash: ContentHash,
    /// The file was not there before.
    pub(crate) created: bool,
}

/// Writes `content` to `to`. `temporary` tells this attempt's half-written file from others.
pub(crate) fn write(
    to: &Place,
    content: &Content,
    if_absent: bool,
    temporary: &str,
) -> Result<Written, Failure> {
    let (folder_place, name) = to.in_folder()?;
    let folder = folder_place.make_folder()?;
    let half = Half::new(&folder, name, temporary);
    let sum = half.fill(content, to)?;
    points::pass(Point::PutWritten);
    let there = sum_of(&folder, name).map_err(|error| to.failed("read", error))?;
    let created = there.is_none();
    match there {
        Some(there) if there == sum => {
            // An earlier attempt may have come this far and no further.
            settle(&folder, name).map_err(|error| to.failed("write", error))?;
        }
        Some(_) if if_absent => return Err(occupied(to)),
        _ => half.put(if_absent).map_err(|error| match error {
            Errno::EXIST => occupied(to),
            other => to.failed("write", other.into()),
        })?,
    }
    points::pass(Point::PutPlaced);
    rustix::fs::fsync(&folder).map_err(|error| to.failed("write", error.into()))?;
    Ok(Written {
        bytes: sum.bytes,
        hash: sum.hash,
        created,
    })
}

/// What is at a place where something was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum There {
    /// Nothing.
    Nothing,
    /// What was to be written.
    Same(Sum),
    /// Something else.
    Other,
}

/// Looks what is there, and changes nothing.
pub(crate) fn look(to: &Place, content: &Content) -> Result<There, Failure> {
    let (folder_place, name) = to.in_folder()?;
    let folder = match folder_place.open_folder() {
        Ok(folder) => folder,
        Err(_) if !folder_place.path().exists() => return Ok(There::Nothing),
        Err(failure) => return Err(failure),
    };
    let failed = |error: io::Error| to.failed("read", error);
    let Some(there) = sum_of(&folder, name).map_err(failed)? else {
        return Ok(There::Nothing);
    };
    let wanted = copy(content.open()?, io::sink()).map_err(failed)?;
    Ok(match there == wanted {
        true => There::Same(there),
        false => There::Other,
    })
}

/// Removes a file that still has this content. False: it is not there any more.
pub(crate) fn remove(place: &Place, hash: &str) -> Result<bool, Failure> {
    let (folder_place, name) = place.in_folder()?;
    let failed = |error: io::Error| place.failed("remove", error);
    let folder = match folder_place.open_folder() {
        Ok(folder) => folder,
        Err(_) if !folder_place.path().exists() => return Ok(false),
        Err(failure) => return Err(failure),
    };
    match sum_of(&folder, name).map_err(failed)? {
        None => Ok(false),
        Some(there) if there.hash.to_string() == hash => {
            rustix::fs::unlinkat(&folder, name, AtFlags::empty())
                .inspect(|()| points::pass(Point::PutRemoved))
                .and_then(|()| rustix::fs::fsync(&folder))
                .map_err(|error| failed(error.into()))?;
            Ok(true)
        }
        Some(_) => Err(Failure::permanent(format!(
            "{} was changed since it was written: it is left as it is, remove it by hand if it is \
             to go",
            place.path().display()
        ))),
    }
}

fn occupied(to: &Place) -> Failure {
    Failure::permanent(format!(
        "{} is there already with other content, and `if_absent` leaves it as it is",
        to.path().display()
    ))
}

/// The half-written file beside its place. What is left of it goes when this is dropped.
struct Half<'a> {
    folder: &'a OwnedFd,
    name: &'a OsStr,
    half: String,
}

impl<'a> Half<'a> {
    fn new(folder: &'a OwnedFd, name: &'a OsStr, temporary: &str) -> Self {
        // What a killed attempt left behind; an attempt that still believes in it then fails.
        if let Some((key, attempt)) = temporary.rsplit_once('-') {
            let attempt: u32 = attempt.parse().unwrap_or(1);
            for earlier in attempt.saturating_sub(LEFTOVERS)..attempt {
                let _ = rustix::fs::unlinkat(folder, format!(".{key}-{earlier}"), AtFlags::empty());
            }
        }
        Self {
            folder,
            name,
            half: format!(".{temporary}"),
        }
    }

    fn fill(&self, content: &Content, to: &Place) -> Result<Sum, Failure> {
        let from = content.open()?;
        let _ = rustix::fs::unlinkat(self.folder, self.half.as_str(), AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let write = || {
            let file = rustix::fs::openat(self.folder, self.half.as_str(), flags, mode)?;
            let file = File::from(file);
            let sum = copy(from, &file)?;
            file.sync_all()?;
            io::Result::Ok(sum)
        };
        write().map_err(|error| to.failed("write", error))
    }

    fn put(&self, if_absent: bool) -> Result<(), Errno> {
        let (folder, half) = (self.folder, self.half.as_str());
        if if_absent {
            // Unlike a rename, a link never replaces what is there.
            return rustix::fs::linkat(folder, half, folder, self.name, AtFlags::empty());
        }
        rustix::fs::renameat(folder, half, folder, self.name)
    }
}

impl Drop for Half<'_> {
    fn drop(&mut self) {
        let _ = rustix::fs::unlinkat(self.folder, self.half.as_str(), AtFlags::empty());
    }
}

/// The size and the hash of a file, if it is there. A link in its place is not followed.
fn sum_of(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<Sum>> {
    match open(folder, name) {
        Ok(file) if file.metadata()?.is_file() => copy(file, io::sink()).map(Some),
        Ok(_) => Err(io::ErrorKind::IsADirectory.into()),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => Err(io::Error::other("a link is there, which is not followed")),
        Err(error) => Err(error.into()),
    }
}

fn settle(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    open(folder, name)?.sync_all()
}

fn open(folder: &OwnedFd, name: &OsStr) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty()).map(File::from)
}
