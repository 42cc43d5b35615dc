//! Files that are sent with a mail, read up to a bound.

use crate::place::{Ground, Place};
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, SinglePart};
use oncely_core::action::Failure;
use oncely_core::limits::{ATTACHMENT_BYTES, ATTACHMENTS};
use std::io::Read;
use std::sync::Arc;

/// A file that is attached.
pub(crate) struct File {
    name: String,
    content: Vec<u8>,
}

/// Reads the files that a step attaches.
pub(crate) async fn read(ground: &Arc<Ground>, paths: &[String]) -> Result<Vec<File>, Failure> {
    if paths.len() > ATTACHMENTS {
        return Err(Failure::permanent(format!(
            "the mail has {} attachments, and at most {ATTACHMENTS} are sent: pack them into one \
             file, or send a link",
            paths.len()
        )));
    }
    let places: Result<Vec<_>, _> = paths.iter().map(|path| ground.place(path)).collect();
    let places = places?;
    let reading = tokio::task::spawn_blocking(move || all(&places));
    reading
        .await
        .unwrap_or_else(|_| Err(Failure::retry("the files were given up by oncely")))
}

fn all(places: &[Place]) -> Result<Vec<File>, Failure> {
    let mut room = ATTACHMENT_BYTES;
    let mut files = Vec::with_capacity(places.len());
    for place in places {
        let content = one(place, room)?;
        room -= content.len() as u64;
        let path = place.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files.push(File {
            // A name is part of a header.
            name: name.replace(char::is_control, "_"),
            content,
        });
    }
    Ok(files)
}

fn one(place: &Place, room: u64) -> Result<Vec<u8>, Failure> {
    let file = place.open_file()?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(Failure::permanent(format!(
            "{} is no file that could be attached",
            place.path().display()
        )));
    }
    let mut content = Vec::new();
    file.take(room + 1)
        .read_to_end(&mut content)
        .map_err(|error| place.failed("read", error))?;
    if content.len() as u64 > room {
        return Err(Failure::permanent(format!(
            "with {} the attachments are larger than {} MiB together, which is the most: send a \
             link",
            place.path().display(),
            ATTACHMENT_BYTES / (1024 * 1024)
        )));
    }
    Ok(content)
}

impl File {
    /// The file as a part of a mail.
    pub(crate) fn part(self) -> SinglePart {
        let kind = ContentType::parse(kind(&self.name)).unwrap_or(ContentType::TEXT_PLAIN);
        // Always encoded: it arrives as it is, line ends and all, and nothing in it can be taken for
        // the end of the mail.
        Attachment::new(self.name).body(encoded(self.content), kind)
    }
}

fn encoded(content: Vec<u8>) -> Body {
    Body::new_with_encoding(content, ContentTransferEncoding::Base64).unwrap_or_else(Body::new)
}

/// What programs that read mails are told a file is, by its ending.
fn kind(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "csv" => "text/csv",
        "txt" | "log" | "md" => "text/plain; charset=utf-8",
        "htm" | "html" => "text/html; charset=utf-8",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "ics" => "text/calendar",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_one() {
        for name in [
            "a.csv",
            "a.TXT",
            "a.html",
            "a.json",
            "a.pdf",
            "a.zip",
            "a.gz",
            "a.png",
            "a.jpeg",
            "a.gif",
            "a.svg",
            "a.xlsx",
            "a.docx",
            "a.ics",
            "a",
            "a.b.unknown",
        ] {
            assert!(ContentType::parse(kind(name)).is_ok(), "{name}");
        }
        assert_eq!(kind("report.2026.CSV"), "text/csv");
    }
}
