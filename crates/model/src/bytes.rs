//! Numbers and texts to bytes and back, no length believed before it is compared with what is left.

use crate::error::ModelError;

/// Appends little-endian numbers and texts with their length before them.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn number(&mut self, value: usize) {
        self.0.extend_from_slice(&(value as u64).to_le_bytes());
    }

    pub(crate) fn float(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn floats(&mut self, values: &[f64]) {
        self.number(values.len());
        values.iter().for_each(|value| self.float(*value));
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.number(value.len());
        self.0.extend_from_slice(value.as_bytes());
    }
}

/// Reads what [`Writer`] wrote.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ModelError> {
        match self.0.split_at_checked(length) {
            Some((taken, rest)) => {
                self.0 = rest;
                Ok(taken)
            }
            None => Err(ModelError::damaged("it ends too early")),
        }
    }

    fn eight(&mut self) -> Result<[u8; 8], ModelError> {
        let mut eight = [0; 8];
        eight.copy_from_slice(self.take(8)?);
        Ok(eight)
    }

    pub(crate) fn number(&mut self) -> Result<usize, ModelError> {
        let value = u64::from_le_bytes(self.eight()?);
        usize::try_from(value).map_err(|_| ModelError::damaged("it holds a length out of range"))
    }

    /// A number of things that take at least `size` bytes each.
    pub(crate) fn count(&mut self, size: usize) -> Result<usize, ModelError> {
        let count = self.number()?;
        match count.checked_mul(size) {
            Some(length) if length <= self.0.len() => Ok(count),
            _ => Err(ModelError::damaged("it holds a length beyond its end")),
        }
    }

    /// A number that is one.
    pub(crate) fn float(&mut self) -> Result<f64, ModelError> {
        let value = f64::from_le_bytes(self.eight()?);
        if value.is_finite() {
            Ok(value)
        } else {
            Err(ModelError::damaged("it holds a number that is none"))
        }
    }

    pub(crate) fn floats(&mut self) -> Result<Vec<f64>, ModelError> {
        let count = self.count(8)?;
        (0..count).map(|_| self.float()).collect()
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, ModelError> {
        let length = self.count(1)?;
        std::str::from_utf8(self.take(length)?)
            .map_err(|_| ModelError::damaged("it holds a text that is not UTF-8"))
    }

    pub(crate) fn end(&self) -> Result<(), ModelError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ModelError::damaged("it goes on after its end"))
        }
    }
}
