//! What is asked of whoever keeps the read models, by way of the database.

use std::{thread, time::Duration};

use pledger_projections::generation::{Answered, Generations as _, Order, Orders, PostgresGenerations, Seen};

use crate::home::InPostgres;

pub(crate) fn orders_are_done_once_by_whoever_keeps_the_read_models(home: &InPostgres) {
    let keeper = Orders::of(home.options()).expect("orders");
    assert!(!keeper.take(|_| unreachable!("nothing is there yet")).expect("taken"));
    assert_eq!(keeper.seen().expect("read"), Seen::default());
    let generations = PostgresGenerations::of(home.options());
    generations.start().expect("made");
    assert_eq!(keeper.seen().expect("read"), Seen { in_use: Some(1), retried: None });

    let done = |body: &str| Answered { status: 200, body: body.to_owned() };
    let options = home.options();
    let asking = thread::spawn(move || {
        let orders = Orders::of(options).expect("orders");
        [Order::Promote(7), Order::RetryParked, Order::RollBack].map(|order| orders.ask(order).expect("an answer"))
    });
    let mut seen = Vec::new();
    while seen.len() < 3 {
        keeper
            .take(|order| {
                seen.push(order);
                done(&format!("{}", seen.len()))
            })
            .expect("taken");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(seen, [Order::Promote(7), Order::RetryParked, Order::RollBack]);
    assert_eq!(asking.join().expect("an answer"), [done("1"), done("2"), done("3")]);
    assert_eq!(keeper.seen().expect("read"), Seen { in_use: Some(1), retried: Some(2) });

    // What a process took that ended is not done again; what nobody waits for is not done at all.
    home.sql("INSERT INTO {}_state.orders (generation, taken_at) VALUES (8, now())").expect("written");
    home.sql("INSERT INTO {}_state.orders (generation, waited_for) VALUES (9, now() - interval '1 minute')").expect("written");
    assert!(!keeper.take(|order| unreachable!("{order:?}")).expect("taken"));
    let left = home.sql("SELECT generation::text, status::text FROM {}_state.orders WHERE generation > 7 ORDER BY 1").expect("read");
    assert_eq!(left, [["8", "503"], ["9", "null"]]);
}
