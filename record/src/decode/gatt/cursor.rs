//! The fields of a characteristic, taken from the front of its bytes.

use chrono::{NaiveDate, NaiveDateTime};

use super::float::{self, Decimal, Special};
use crate::decode::Reason;
use crate::decode::collect::Fault;

/// What is left of a characteristic's bytes. Numbers are little-endian.
pub(super) struct Cursor<'p>(&'p [u8]);

impl<'p> Cursor<'p> {
    pub(super) fn new(payload: &'p [u8]) -> Cursor<'p> {
        Cursor(payload)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, Fault> {
        self.take(field).map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, Fault> {
        self.take(field).map(u16::from_le_bytes)
    }

    pub(super) fn i16(&mut self, field: &'static str) -> Result<i16, Fault> {
        self.take(field).map(i16::from_le_bytes)
    }

    pub(super) fn u24(&mut self, field: &'static str) -> Result<u32, Fault> {
        self.take(field).map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    /// A 16-bit floating-point number, or the special value that stands there.
    pub(super) fn sfloat(&mut self, field: &'static str) -> Result<Result<Decimal, Special>, Fault> {
        self.u16(field).map(float::sfloat)
    }

    /// A 32-bit floating-point number, or the special value that stands there.
    pub(super) fn float(&mut self, field: &'static str) -> Result<Result<Decimal, Special>, Fault> {
        self.take(field).map(u32::from_le_bytes).map(float::float)
    }

    /// A Date Time, local to the device; `None` where the device does not know its year, month or day,
    /// which are 0 then.
    pub(super) fn date_time(&mut self, field: &'static str) -> Result<Option<NaiveDateTime>, Fault> {
        let [year_low, year_high, month, day, hour, minute, second] = self.take(field)?;
        let year = u16::from_le_bytes([year_low, year_high]);
        if year == 0 || month == 0 || day == 0 {
            return Ok(None);
        }
        let time = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into())
            .and_then(|date| date.and_hms_opt(hour.into(), minute.into(), second.into()));
        match time {
            Some(time) => Ok(Some(time)),
            None => {
                let text = format!(
                    "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} is no date and time"
                );
                Err(Fault::new(field, Reason::InvalidField, text))
            }
        }
    }

    /// Takes what is left, a list of `u16`.
    pub(super) fn list_of_u16(&mut self, field: &'static str) -> Result<(), Fault> {
        if !self.0.len().is_multiple_of(2) {
            let text = "ends in the middle of one of its 2-byte values";
            return Err(Fault::new(field, Reason::Malformed, text));
        }
        self.0 = &[];
        Ok(())
    }

    /// Checks that nothing is left. Fields that the flags do not announce would be read as nothing, and
    /// say that the payload is something else than its topic says.
    pub(super) fn finish(self) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Ok(());
        }
        let text = format!(
            "goes on for {} byte(s) after the fields that its flags announce",
            self.0.len()
        );
        Err(Fault::new("payload", Reason::Malformed, text))
    }

    fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Fault> {
        let Some((bytes, rest)) = self.0.split_first_chunk() else {
            let text = format!(
                "is missing: the payload ends {} byte(s) too early",
                N - self.0.len()
            );
            return Err(Fault::new(field, Reason::Malformed, text));
        };
        self.0 = rest;
        Ok(*bytes)
    }
}
