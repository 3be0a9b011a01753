use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    window: 3,
    packet_ids: 5,
};

fn parcel(name: u8) -> Parcel {
    Parcel::new(Message::battery(name), None)
}

/// The client and the broker on the other side of an outbox: writes in order, with packet ids in turn, and
/// answers any message in flight.
struct World {
    outbox: Outbox,
    now: Instant,
    submitted: VecDeque<u8>,
    in_flight: BTreeMap<u16, u8>,
    written: u64,
    packet_ids: u16,
    arrived: Vec<u8>,
    answered: BTreeSet<u8>,
}

impl World {
    fn new(faults: Faults) -> World {
        World {
            outbox: Outbox::new(LIMITS, faults, 17),
            now: Instant::now(),
            submitted: VecDeque::new(),
            in_flight: BTreeMap::new(),
            written: 0,
            packet_ids: LIMITS.packet_ids,
            arrived: Vec::new(),
            answered: BTreeSet::new(),
        }
    }

    fn submit(&mut self) -> bool {
        match self.outbox.next(self.now) {
            Next::Submit(parcel) => {
                self.submitted.push_back(parcel.message.payload[0]);
                assert!(self.submitted.len() + self.in_flight.len() <= usize::from(LIMITS.window));
                true
            }
            Next::Later(moment) => {
                assert!(moment > self.now);
                self.now = moment;
                true
            }
            Next::Wait | Next::Finished => false,
        }
    }

    fn write(&mut self) -> bool {
        let Some(name) = self.submitted.pop_front() else {
            return false;
        };
        let packet_id = u16::try_from(self.written % u64::from(self.packet_ids)).unwrap() + 1;
        self.written += 1;
        assert_eq!(
            self.in_flight.insert(packet_id, name),
            None,
            "packet id {packet_id} is in use"
        );
        self.outbox.written(packet_id, self.now);
        self.arrived.push(name);
        true
    }

    fn answer(&mut self, which: usize, taken: bool) -> bool {
        let Some(packet_id) = self
            .in_flight
            .keys()
            .nth(which % self.in_flight.len().max(1))
            .copied()
        else {
            return false;
        };
        let name = self.in_flight.remove(&packet_id).unwrap();
        let answered = self.outbox.answered(packet_id, taken).unwrap();
        assert_eq!(answered.parcel.message.payload, [name]);
        assert_eq!(answered.first, self.answered.insert(name));
        true
    }

    fn reconnect(&mut self, packet_ids: u16) {
        self.submitted.clear();
        self.in_flight.clear();
        self.written = 0;
        self.packet_ids = packet_ids;
        self.outbox.connected(Limits { packet_ids, ..LIMITS });
    }

    fn run_dry(&mut self) {
        while self.submit() || self.write() || self.answer(0, true) {}
    }
}

#[test]
fn messages_go_in_order_and_within_the_window() {
    let mut world = World::new(Faults::default());
    for name in 0..10 {
        world.outbox.push(parcel(name));
    }
    world.run_dry();
    world.outbox.close();
    assert!(matches!(world.outbox.next(world.now), Next::Finished));
    assert_eq!(world.arrived, (0..10).collect::<Vec<_>>());
    let expected = Counts {
        sent: 10,
        acknowledged: 10,
        ..Counts::default()
    };
    assert_eq!(world.outbox.take_counts(), expected);
    assert_eq!(world.outbox.take_counts(), Counts::default());
}

#[test]
fn after_a_reconnection_the_unacknowledged_go_first() {
    let mut world = World::new(Faults::default());
    for name in 0..5 {
        world.outbox.push(parcel(name));
    }
    while world.submit() {}
    assert!(world.write() && world.write());
    assert!(world.answer(0, true));
    world.reconnect(5);
    world.run_dry();
    assert_eq!(world.arrived, [0, 1, 1, 2, 3, 4]);
    let counts = world.outbox.take_counts();
    assert_eq!((counts.sent, counts.acknowledged, counts.resent), (5, 5, 1));
    assert_eq!(counts.connects, 1);
}

#[test]
fn a_refused_message_is_not_sent_again() {
    let mut world = World::new(Faults::default());
    world.outbox.push(parcel(1));
    world.outbox.push(parcel(2));
    assert!(world.submit() && world.write() && world.answer(0, false));
    world.reconnect(5);
    world.run_dry();
    assert_eq!(world.arrived, [1, 2]);
    let counts = world.outbox.take_counts();
    assert_eq!((counts.sent, counts.acknowledged, counts.refused), (2, 1, 1));
}

#[test]
fn a_late_acknowledgement_holds_up_the_packet_ids() {
    let mut world = World::new(Faults::default());
    for name in 0..20 {
        world.outbox.push(parcel(name));
    }
    // The first message is not answered, all others are: packet id 1 must not be needed again.
    while world.submit() || world.write() || (world.in_flight.len() > 1 && world.answer(1, true)) {}
    assert_eq!(world.arrived, [0, 1, 2, 3, 4]);
    assert!(world.outbox.oldest_in_flight().is_some());
    assert!(world.answer(0, true));
    world.run_dry();
    assert_eq!(world.arrived.len(), 20);
}

#[test]
fn an_unknown_packet_id_means_nothing() {
    let mut outbox = Outbox::new(LIMITS, Faults::default(), 17);
    assert!(!outbox.written(1, Instant::now()));
    assert!(outbox.answered(1, true).is_none());
    assert!(matches!(outbox.next(Instant::now()), Next::Wait));
}

fn all_faults(seed: u64) -> Faults {
    Faults {
        drop: 0.3,
        duplicate: 0.3,
        reorder: 0.3,
        disconnect: 0.1,
        seed,
        ..Faults::default()
    }
}

#[test]
fn faults_do_what_they_say() {
    let mut world = World::new(all_faults(3));
    for name in 0..200 {
        world.outbox.push(parcel(name));
    }
    world.run_dry();
    let counts = world.outbox.take_counts();
    assert_eq!((counts.sent, counts.acknowledged, counts.resent), (200, 200, 0));
    assert!((30..=100).contains(&counts.dropped), "{counts:?}");
    assert!((30..=100).contains(&counts.duplicated), "{counts:?}");
    assert!((8..=60).contains(&counts.broken), "{counts:?}");
    assert_eq!(world.arrived.len() as u64, 200 + counts.duplicated);
    assert!(!world.arrived.is_sorted());
}

#[derive(Clone, Debug)]
enum Step {
    Push,
    Submit,
    Write,
    Answer(usize, bool),
    Reconnect(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Push),
        4 => Just(Step::Submit),
        4 => Just(Step::Write),
        3 => (0..3_usize, prop::bool::weighted(0.9)).prop_map(|(which, taken)| Step::Answer(which, taken)),
        1 => (3..8_u16).prop_map(Step::Reconnect),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn nothing_is_lost_whatever_happens(steps in steps(), seed in 0..1_000_u64, faulty in any::<bool>()) {
        let mut world = World::new(if faulty { all_faults(seed) } else { Faults::default() });
        let mut pushed = 0;
        for step in steps {
            match step {
                Step::Push => {
                    world.outbox.push(parcel(pushed));
                    pushed += 1;
                }
                Step::Submit => {
                    world.submit();
                }
                Step::Write => {
                    world.write();
                }
                Step::Answer(which, taken) => {
                    world.answer(which, taken);
                }
                Step::Reconnect(packet_ids) => world.reconnect(packet_ids),
            }
        }
        world.outbox.close();
        world.run_dry();
        prop_assert!(world.outbox.is_finished());
        prop_assert_eq!(world.answered, (0..pushed).collect());
        let counts = world.outbox.take_counts();
        prop_assert_eq!(counts.sent, u64::from(pushed));
        prop_assert_eq!(counts.acknowledged + counts.refused, counts.sent);
    }
}
