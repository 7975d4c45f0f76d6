//! The window, told what time it is.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::sql::hash_of_unread;

fn shape(number: usize) -> Shape {
    Shape::of(&hash_of_unread(&format!("c{number}")))
}

fn pair(user: &str, address: u32) -> Pair {
    Pair { user: user.into(), address: Ipv4Addr::from(address).into() }
}

const SECOND: Duration = Duration::from_secs(1);

/// Adds errors of these statements, one each; the bursts.
fn add(pairs: &mut Pairs, pair: &Pair, shapes: impl IntoIterator<Item = usize>, now: Instant) -> Vec<Burst> {
    shapes.into_iter().filter_map(|number| pairs.add(pair, Sign::SyntaxError, shape(number), now)).collect()
}

#[test]
fn ten_different_statements_are_a_burst_that_is_told_of_once() {
    let (mut pairs, app, now) = (Pairs::default(), pair("app", 1), Instant::now());
    assert_eq!(add(&mut pairs, &app, 0..9, now), []);
    assert!(!pairs.is_probing(&app, now));
    let burst = Burst { errors: vec![(Sign::SyntaxError, 10)], statements: 10 };
    assert_eq!(add(&mut pairs, &app, 9..10, now), [burst]);
    assert!(pairs.is_probing(&app, now));
    assert_eq!(add(&mut pairs, &app, 10..1000, now + SECOND), []);
}

#[test]
fn five_statements_count_twice_each_and_four_never_make_a_burst() {
    let (mut pairs, app, now) = (Pairs::default(), pair("app", 1), Instant::now());
    for _ in 0..1000 {
        assert_eq!(add(&mut pairs, &app, 0..4, now), []);
    }
    assert!(!pairs.is_probing(&app, now), "an application's bugs");
    assert_eq!(add(&mut pairs, &app, [4], now), []);
    let burst = Burst { errors: vec![(Sign::SyntaxError, 4002)], statements: 5 };
    assert_eq!(add(&mut pairs, &app, [4], now), [burst]);
}

#[test]
fn statements_that_nobody_can_tell_apart_are_one() {
    let (mut pairs, app, now) = (Pairs::default(), pair("app", 1), Instant::now());
    for _ in 0..1000 {
        assert_eq!(pairs.add(&app, Sign::SyntaxError, Shape::UNKNOWN, now), None);
    }
    assert_eq!(add(&mut pairs, &app, 0..8, now).len(), 1);
}

#[test]
fn the_window_slides() {
    let (mut pairs, app, start) = (Pairs::default(), pair("app", 1), Instant::now());
    // One each seven seconds: never ten within sixty.
    for number in 0..100 {
        let now = start + SECOND * 7 * u32::try_from(number).unwrap();
        assert_eq!(add(&mut pairs, &app, [number], now), []);
    }
    // One each six seconds: the tenth comes within the window.
    let mut pairs = Pairs::default();
    let bursts: Vec<usize> = (0..20)
        .filter(|number| {
            let now = start + SECOND * 6 * u32::try_from(*number).unwrap();
            !add(&mut pairs, &app, [*number], now).is_empty()
        })
        .collect();
    assert_eq!(bursts, [9, 19], "and while it goes on, once for each window");
}

#[test]
fn what_left_the_window_counts_no_more() {
    let (mut pairs, app, start) = (Pairs::default(), pair("app", 1), Instant::now());
    add(&mut pairs, &app, 0..10, start);
    let last = start + WINDOW - Duration::from_nanos(1);
    assert!(pairs.is_probing(&app, last));
    assert!(!pairs.is_probing(&app, start + WINDOW));
    // The first time of a statement that failed twice leaves, too.
    let mut pairs = Pairs::default();
    add(&mut pairs, &app, 0..5, start);
    assert_eq!(add(&mut pairs, &app, 0..5, start + WINDOW), []);
    assert!(!pairs.is_probing(&app, start + WINDOW));
    assert_eq!(add(&mut pairs, &app, 0..5, start + WINDOW + SECOND).len(), 1);
}

#[test]
fn one_that_fails_all_the_time_hides_no_others() {
    let (mut pairs, app, now) = (Pairs::default(), pair("app", 1), Instant::now());
    let mut bursts = 0;
    for number in 0..10 {
        bursts += add(&mut pairs, &app, [number], now).len();
        for _ in 0..1000 {
            bursts += add(&mut pairs, &app, [100], now).len();
        }
    }
    assert_eq!(bursts, 1);
}

#[test]
fn errors_are_told_by_their_kinds_and_since_they_were_told_last() {
    let (mut pairs, app, start) = (Pairs::default(), pair("app", 1), Instant::now());
    for number in 0..4 {
        pairs.add(&app, Sign::UndefinedColumn, shape(number), start);
        pairs.add(&app, Sign::InvalidTextRepresentation, shape(number), start);
    }
    let burst = add(&mut pairs, &app, 4..6, start).pop().unwrap();
    let told: Vec<_> = burst.errors.iter().map(|(sign, times)| (sign.as_str(), *times)).collect();
    assert_eq!(told, [("42601", 2), ("42703", 4), ("22P02", 4)]);
    let burst = add(&mut pairs, &app, 0..10, start + WINDOW).pop().unwrap();
    assert_eq!(burst.errors, [(Sign::SyntaxError, 10)]);
}

#[test]
fn nobody_answers_for_another() {
    let (mut pairs, now) = (Pairs::default(), Instant::now());
    let six = Pair { user: "app".into(), address: Ipv6Addr::LOCALHOST.into() };
    for other in [pair("app", 2), pair("boss", 1), six] {
        assert_eq!(add(&mut pairs, &other, 0..9, now), []);
    }
    assert_eq!(add(&mut pairs, &pair("app", 1), 9..18, now), []);
    assert_eq!(add(&mut pairs, &pair("app", 1), 18..19, now).len(), 1);
    assert!(!pairs.is_probing(&pair("app", 2), now) && !pairs.is_probing(&pair("boss", 1), now));
}

#[test]
fn it_is_bounded_and_the_one_that_failed_longest_ago_goes() {
    let (mut pairs, start) = (Pairs::default(), Instant::now());
    add(&mut pairs, &pair("app", 0), 0..10, start);
    add(&mut pairs, &pair("app", 1), 0..10, start);
    let most = u32::try_from(PAIRS).unwrap();
    for address in 2..=most {
        let now = start + SECOND;
        // It goes on.
        add(&mut pairs, &pair("app", 0), [0], now);
        add(&mut pairs, &pair("app", address), [0], now);
    }
    assert_eq!(pairs.windows.len(), PAIRS);
    assert!(pairs.is_probing(&pair("app", 0), start + SECOND), "it was seen since");
    assert!(!pairs.windows.contains_key(&pair("app", 1)));
    // Whose window is empty goes first, and all of them at once.
    add(&mut pairs, &pair("app", most + 1), [0], start + SECOND + WINDOW);
    assert_eq!(pairs.windows.len(), 1);
}

#[test]
fn each_pair_is_bounded() {
    let (mut pairs, app, now) = (Pairs::default(), pair("app", 1), Instant::now());
    add(&mut pairs, &app, 0..10_000, now);
    let window = pairs.windows.get(&app).unwrap();
    assert_eq!(window.failures.len(), STATEMENTS);
    assert!(window.failures.capacity() * size_of::<Failure>() + size_of::<Window>() <= 1536);
}

#[test]
fn a_clock_that_two_sessions_read_in_another_order_does_no_harm() {
    let (mut pairs, app, now) = (Pairs::default(), pair("app", 1), Instant::now());
    add(&mut pairs, &app, 0..5, now + SECOND);
    assert_eq!(add(&mut pairs, &app, 0..5, now).len(), 1);
    assert!(pairs.is_probing(&app, now) && pairs.is_probing(&app, now + SECOND));
}

#[test]
fn codes_are_known_by_themselves_and_no_others() {
    for sign in Sign::ALL {
        assert_eq!(Sign::of(sign.as_str().as_bytes()), Some(sign));
        assert_eq!(Sign::ALL.get(sign as usize), Some(&sign), "its place");
    }
    // Constraints, deadlocks, serialization, cancelled, failed transaction, plans that grew old, lost sessions, memory.
    for never in
        ["23505", "23503", "23502", "23514", "40P01", "40001", "57014", "25P02", "0A000", "57P01", "53200", "", "4260"]
    {
        assert_eq!(Sign::of(never.as_bytes()), None, "{never}");
    }
}

#[test]
fn a_sign_of_ones_own_is_needed() {
    assert_eq!(Signals::NONE.while_probing(), *Signals::NONE);
    let mut weak = Signals::default();
    weak.add(Technique::CommentTruncation, 3);
    assert_eq!(weak.while_probing().to_string(), "5: comment_truncation(3) + probing(2)");
    assert_eq!(weak.score(), 3);
}
