//! Bounds, clocks, and that nothing grows.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn throttle(most: u32) -> Arc<Throttle> {
    Arc::new(Throttle::new(Some(LoginFailures { most, within: MINUTE })))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn sizes(throttle: &Throttle) -> (usize, usize) {
    let failures = throttle.lock();
    (failures.users.0.len(), failures.addresses.0.len())
}

#[test]
fn after_so_many_failures_within_the_time_there_is_none_more_until_it_is_over() {
    let throttle = throttle(3);
    let (app, start) = (throttle.of("app", ip("10.0.0.1")), Instant::now());
    for second in [0, 10, 20] {
        assert_eq!(app.check(start + Duration::from_secs(second)), Ok(()));
        app.failed(start + Duration::from_secs(second));
    }
    for (second, expected) in [
        (20, Err(Throttled(Scope::User))),
        (59, Err(Throttled(Scope::User))),
        // The first failure is a minute old: one more may be tried.
        (60, Ok(())),
    ] {
        assert_eq!(app.check(start + Duration::from_secs(second)), expected, "{second}");
    }
    app.failed(start + MINUTE);
    assert_eq!(app.check(start + Duration::from_secs(69)), Err(Throttled(Scope::User)));
    assert_eq!(app.check(start + Duration::from_secs(70)), Ok(()));
    assert_eq!(throttle.of("other", ip("10.0.0.1")).check(start + Duration::from_secs(20)), Ok(()));
    assert_eq!(throttle.of("app", ip("10.0.0.2")).check(start + Duration::from_secs(20)), Ok(()));
}

#[test]
fn one_address_has_ten_times_as_many_whatever_names_it_takes() {
    let throttle = throttle(3);
    let now = Instant::now();
    for number in 0..30 {
        let attempt = throttle.of(&format!("user{number}"), ip("10.0.0.1"));
        assert_eq!(attempt.check(now), Ok(()), "{number}");
        attempt.failed(now);
    }
    assert_eq!(throttle.of("anybody", ip("10.0.0.1")).check(now), Err(Throttled(Scope::Address)));
    assert_eq!(throttle.of("anybody", ip("::ffff:10.0.0.1")).check(now), Err(Throttled(Scope::Address)));
    assert_eq!(throttle.of("anybody", ip("10.0.0.2")).check(now), Ok(()));
    assert_eq!(throttle.of("anybody", ip("10.0.0.1")).check(now + MINUTE), Ok(()));
}

#[test]
fn the_hosts_of_an_ipv6_network_are_one() {
    let throttle = throttle(1);
    let now = Instant::now();
    throttle.of("app", ip("2001:db8:1:2::1")).failed(now);
    assert_eq!(throttle.of("app", ip("2001:db8:1:2:ffff::9")).check(now), Err(Throttled(Scope::User)));
    assert_eq!(throttle.of("app", ip("2001:db8:1:3::1")).check(now), Ok(()));
}

#[test]
fn memory_is_bounded_and_what_failed_last_is_remembered() {
    let throttle = throttle(1);
    let start = Instant::now();
    let address = |number: u32| IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + number));
    let many = u32::try_from(MOST).unwrap() + 500;
    for number in 0..many {
        throttle.of("x", address(number)).failed(start + Duration::from_millis(number.into()));
    }
    let (users, addresses) = sizes(&throttle);
    assert!(users <= MOST && addresses <= MOST && users > MOST / 2, "{users}, {addresses}");
    let now = start + Duration::from_millis(many.into());
    assert_eq!(throttle.of("x", address(0)).check(now), Ok(()), "forgotten");
    assert_eq!(throttle.of("x", address(many - 1)).check(now), Err(Throttled(Scope::User)));
    // Once the time is over the next failure clears all of them away.
    while sizes(&throttle).0 < MOST {
        let number = many + u32::try_from(sizes(&throttle).0).unwrap();
        throttle.of("x", address(number)).failed(now);
    }
    throttle.of("x", address(0)).failed(now + MINUTE);
    assert_eq!(sizes(&throttle), (1, 1));
}

#[test]
fn without_a_bound_nothing_is_counted() {
    let throttle = Arc::new(Throttle::new(None));
    let app = throttle.of("app", ip("10.0.0.1"));
    for _ in 0..1000 {
        app.failed(Instant::now());
    }
    assert_eq!((app.check(Instant::now()), sizes(&throttle)), (Ok(()), (0, 0)));
}

#[tokio::test]
async fn no_more_guesses_are_under_way_than_may_fail() {
    let throttle = throttle(2);
    let app = throttle.of("app", ip("10.0.0.1"));
    let (first, second) = (app.guess().await.unwrap(), app.guess().await.unwrap());
    let third = tokio::spawn({
        let app = app.clone();
        async move { app.guess().await.map(drop) }
    });
    tokio::task::yield_now().await;
    assert!(!third.is_finished(), "it waits");
    // Others don't wait for it.
    drop(throttle.of("other", ip("10.0.0.1")).guess().await.unwrap());
    drop(throttle.of("app", ip("10.0.0.2")).guess().await.unwrap());
    // A good one makes room.
    drop(first);
    assert_eq!(third.await.unwrap(), Ok(()));
    let fourth = app.guess().await.unwrap();
    let fifth = tokio::spawn({
        let app = app.clone();
        async move { app.guess().await.map(drop) }
    });
    tokio::task::yield_now().await;
    for guess in [second, fourth] {
        app.failed(Instant::now());
        drop(guess);
    }
    assert_eq!(fifth.await.unwrap(), Err(Throttled(Scope::User)), "it came to that while it waited");
    assert_eq!(app.guess().await.map(drop), Err(Throttled(Scope::User)));
}

#[tokio::test]
async fn good_guesses_leave_nothing_behind() {
    let throttle = throttle(2);
    for number in 0..100 {
        drop(throttle.of(&format!("user{number}"), ip("10.0.0.1")).guess().await.unwrap());
    }
    assert_eq!(sizes(&throttle), (0, 0));
    let app = throttle.of("app", ip("10.0.0.1"));
    let guess = app.guess().await.unwrap();
    app.failed(Instant::now());
    drop(guess);
    assert_eq!(sizes(&throttle), (1, 1));
}

#[tokio::test]
async fn so_many_are_held_back_and_the_others_answered_at_once() {
    let throttle = throttle(1);
    let held: Vec<_> = (0..DELAYED)
        .map(|_| {
            let throttle = Arc::clone(&throttle);
            tokio::spawn(async move {
                let start = Instant::now();
                throttle.delay().await;
                start.elapsed()
            })
        })
        .collect();
    while throttle.delayed.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    // Ready the first time it is asked: it does not sleep.
    tokio::select! {
        biased;
        () = throttle.delay() => {}
        () = std::future::ready(()) => panic!("held back"),
    }
    for task in held {
        assert!(task.await.unwrap() >= DELAY);
    }
    assert_eq!(throttle.delayed.available_permits(), DELAYED);
}
