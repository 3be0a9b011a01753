//! When devices were last heard of, and what they said of their batteries, until it is written down. That is apart from
//! readings, and now and then: it costs no message anything, and what a killed process did not write is told anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use homeward_record::DeviceId;
use homeward_store::devices::Contact;

/// What is not written down yet: at most one entry for each device that has shown its credential since.
#[derive(Debug, Default)]
pub(crate) struct Contacts(Mutex<HashMap<DeviceId, Contact>>);

impl Contacts {
    /// Notes that a device was heard of.
    pub(crate) fn note(&self, device: DeviceId, at: DateTime<Utc>) {
        self.add(Contact {
            device,
            last_at: at,
            battery: None,
        });
    }

    /// Notes how full a device says that its battery is, in percent.
    pub(crate) fn note_battery(&self, device: DeviceId, percent: u8, at: DateTime<Utc>) {
        self.add(Contact {
            device,
            last_at: at,
            battery: Some((percent.into(), at)),
        });
    }

    /// Takes all that is noted.
    pub(crate) fn take(&self) -> Vec<Contact> {
        std::mem::take(&mut *self.lock()).into_values().collect()
    }

    /// Notes again what could not be written down; what was noted since stands.
    pub(crate) fn put_back(&self, contacts: Vec<Contact>) {
        for contact in contacts {
            self.add(contact);
        }
    }

    fn add(&self, contact: Contact) {
        let mut noted = self.lock();
        let known = noted.entry(contact.device).or_insert(contact);
        known.last_at = known.last_at.max(contact.last_at);
        let later = |battery: &(i16, DateTime<Utc>)| known.battery.is_none_or(|(_, at)| battery.1 >= at);
        if let Some(battery) = contact.battery.filter(later) {
            known.battery = Some(battery);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Contact>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn the_latest_of_each_is_kept_whatever_the_order() {
        let minute = |minute| DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        let contacts = Contacts::default();
        let device = DeviceId(10_001);
        contacts.note_battery(device, 80, minute(2));
        contacts.note(device, minute(3));
        let taken = contacts.take();
        contacts.note_battery(device, 70, minute(5));
        contacts.note(device, minute(1));
        contacts.put_back(taken);
        let expected = Contact {
            device,
            last_at: minute(5),
            battery: Some((70, minute(5))),
        };
        assert_eq!(contacts.take(), [expected]);
        assert_eq!(contacts.take(), []);
    }
}
