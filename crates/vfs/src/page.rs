//! Checksums of pages: the first 8 bytes of a BLAKE3 over the page and its number.
//!
//! The number is hashed in the place where the checksum stands, so that a page that lies in another's
//! place is noticed, and one page is one call of the hash function.

/// Bytes at the end of a page that hold its checksum.
pub(crate) const SUM: usize = 8;
/// What a database file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Bytes of the header of a database.
pub(crate) const HEADER: usize = 100;
/// Where the header says how many bytes of each page are reserved.
const RESERVED_AT: usize = 20;

/// Whether so many bytes from there on are one whole page.
pub(crate) fn number(len: usize, at: i64) -> Option<u32> {
    let whole = (512..=65536).contains(&len) && len.is_power_of_two();
    let len = i64::try_from(len).ok().filter(|_| whole)?;
    if at % len != 0 {
        return None;
    }
    u32::try_from(at / len + 1).ok()
}

/// Puts the checksum at the end of a page.
pub(crate) fn seal(page: &mut [u8], number: u32) {
    let sum = sum(page, number);
    if let Some(end) = page.last_chunk_mut::<SUM>() {
        *end = sum;
    }
}

/// How a page stands to its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    Holds,
    Broken,
    /// It has none.
    Missing,
}

/// Compares a page with its checksum, and leaves zeros in place of that: what SQLite keeps in memory,
/// and writes to the log from there, is then told from what was changed later.
pub(crate) fn unseal(page: &mut [u8], number: u32) -> Seal {
    let found = page.last_chunk::<SUM>().copied().unwrap_or_default();
    let holds = found == sum(page, number);
    if let Some(end) = page.last_chunk_mut::<SUM>() {
        *end = [0; SUM];
    }
    match holds {
        true => Seal::Holds,
        false if found == [0; SUM] => Seal::Missing,
        false => Seal::Broken,
    }
}

/// The checksum of a page; what stands in its place is overwritten.
fn sum(page: &mut [u8], number: u32) -> [u8; SUM] {
    if let Some(end) = page.last_chunk_mut::<SUM>() {
        *end = u64::from(number).to_le_bytes();
    }
    let mut sum = [0; SUM];
    let hash = blake3::hash(page);
    sum.iter_mut()
        .zip(hash.as_bytes())
        .for_each(|(to, from)| *to = *from);
    sum
}

/// How many bytes of each page the header of a database leaves free; none if it is no header.
pub(crate) fn reserved(header: &[u8]) -> Option<u8> {
    (header.len() >= HEADER && header.starts_with(MAGIC))
        .then(|| header.get(RESERVED_AT).copied())
        .flatten()
}

/// How long a page is, as the header of a database says.
pub(crate) fn size(header: &[u8]) -> Option<usize> {
    let size = u16::from_be_bytes(*header.get(16..)?.first_chunk()?);
    match size {
        1 => Some(65536),
        512.. if size.is_power_of_two() => Some(size.into()),
        _ => None,
    }
}

/// How many pages a database has, as its header says.
pub(crate) fn count(header: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*header.get(28..)?.first_chunk()?))
}

/// Whether a first page that does not say that it has a checksum would have a right one if it did: the
/// bytes that say so were lost.
pub(crate) fn lost_its_mark(page: &mut [u8]) -> bool {
    page.iter_mut()
        .zip(MAGIC)
        .for_each(|(to, from)| *to = *from);
    if let Some(byte) = page.get_mut(RESERVED_AT) {
        *byte = SUM.to_le_bytes()[0];
    }
    unseal(page, 1) == Seal::Holds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(number: u32) -> Vec<u8> {
        let mut page: Vec<u8> = (0..4096_u32).map(|at| (at * 7 % 251) as u8).collect();
        seal(&mut page, number);
        page
    }

    #[test]
    fn a_page_holds_in_its_own_place_only() {
        assert_eq!(unseal(&mut sealed(7), 7), Seal::Holds);
        assert_eq!(unseal(&mut sealed(7), 8), Seal::Broken);
    }

    #[test]
    fn each_flipped_bit_is_noticed() {
        for bit in 0..4096 * 8 {
            let mut page = sealed(3);
            page[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(unseal(&mut page, 3), Seal::Holds, "bit {bit}");
        }
    }

    #[test]
    fn a_page_without_a_checksum_is_told_from_a_broken_one() {
        let mut page = sealed(3);
        page[4088..].fill(0);
        assert_eq!(unseal(&mut page, 3), Seal::Missing);
        assert_eq!(unseal(&mut vec![0; 4096], 3), Seal::Missing);
    }

    #[test]
    fn only_whole_pages_are_pages() {
        assert_eq!(number(4096, 0), Some(1));
        assert_eq!(number(4096, 8192), Some(3));
        assert_eq!(number(4096, 100), None);
        assert_eq!(number(100, 0), None);
        assert_eq!(number(16, 32), None);
    }
}
