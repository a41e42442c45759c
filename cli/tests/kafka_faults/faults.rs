//! What goes wrong, one thing at a time.

use std::time::Duration;

use crate::{
    home::{Home, slices},
    processes::{Process, until},
    services::BROKERS,
    told::more,
};

/// How many commands are decided between two events of a test.
const SOME: usize = 60;
/// How often answers are lost, and for how long each time.
const LOSSES: usize = 5;
const LOST_FOR: Duration = Duration::from_millis(400);

/// An API, one that keeps the read models, and two processors with half of the slices each.
fn all(home: &Home<'_>) -> (Process, Process, [Process; 2]) {
    let processors = [(); 2].map(|()| home.serve("processor", &[]));
    let (api, projections) = (home.serve("api", &[]), home.serve("projections", &[]));
    home.share_out(processors.each_ref());
    (api, projections, processors)
}

pub(crate) fn a_processor_is_killed(home: &Home<'_>) {
    let (api, _projections, [one, other]) = all(home);
    home.under_load(&api, |told| {
        more(told, SOME);
        one.signal("-KILL");
        home.is_back("the other one writes all slices", || slices(&other) == 8);
        more(told, SOME);
        let third = home.serve("processor", &[]);
        home.share_out([&other, &third]);
        more(told, SOME);
        drop(third.stop());
    });
}

pub(crate) fn a_processor_is_stopped_and_wakes_up_after_its_slices_moved(home: &Home<'_>) {
    let (api, _projections, [one, other]) = all(home);
    home.under_load(&api, |told| {
        more(told, SOME);
        one.signal("-STOP");
        home.is_back("the other one writes all slices", || slices(&other) == 8);
        more(told, SOME);
        // What it had sent and not heard of is still on its way, and it thinks its slices its own.
        one.signal("-CONT");
        more(told, SOME);
        home.share_out([&one, &other]);
        more(told, SOME);
    });
}

pub(crate) fn two_processors_think_the_same_slices_theirs(home: &Home<'_>) {
    let [one, other] = [(); 2].map(|()| home.serve("processor", &["--slices", "0-7"]));
    let (api, _projections) = (home.serve("api", &[]), home.serve("projections", &[]));
    home.under_load(&api, |told| {
        more(told, 4 * SOME);
        let lost = [&one, &other].map(|process| process.metric("pledger_processor_terms_lost") as u32);
        home.note(format!("terms lost: {lost:?}"));
        one.signal("-KILL");
        more(told, SOME);
    });
}

pub(crate) fn who_keeps_the_read_models_is_killed(home: &Home<'_>) {
    let (api, projections, _processors) = all(home);
    let mut next = None;
    home.under_load(&api, |told| {
        until("rows are written", || home.rows("deals") > 0);
        more(told, SOME);
        projections.signal("-KILL");
        let before = home.rows("deals");
        more(told, SOME);
        next = Some(home.serve("projections", &[]));
        home.is_back("read models grow again", || home.rows("deals") > before);
        more(told, SOME);
    });
    drop(next.map(Process::stop));
}

pub(crate) fn each_broker_is_killed_in_turn(home: &Home<'_>) {
    let (api, _projections, _processors) = all(home);
    home.under_load(&api, |told| {
        for broker in 1..=BROKERS {
            more(told, SOME);
            // It led a third of the slices, and perhaps the group and the cluster.
            home.services.kill_broker(broker);
            let before = told.count();
            home.is_back(&format!("commands are decided without broker {broker}"), || told.count() >= before + SOME);
            home.services.start_brokers();
        }
        more(told, SOME);
    });
}

pub(crate) fn the_database_is_killed(home: &Home<'_>) {
    let (api, _projections, _processors) = all(home);
    home.under_load(&api, |told| {
        until("rows are written", || home.rows("deals") > 0);
        more(told, SOME);
        let back = home.services.kill_postgres();
        // Who needs no key of a person goes on without it.
        more(told, SOME);
        back.join().expect("it starts");
        let before = home.rows("deals");
        home.is_back("read models grow again", || home.rows("deals") > before);
        more(told, SOME);
    });
}

pub(crate) fn a_processor_is_cut_off_from_the_brokers(home: &Home<'_>) {
    let (one, other) = (home.serve_behind("processor"), home.serve("processor", &[]));
    let (api, _projections) = (home.serve("api", &[]), home.serve("projections", &[]));
    home.share_out([&one, &other]);
    home.under_load(&api, |told| {
        more(told, SOME);
        home.services.network.cut();
        home.is_back("the other one writes all slices", || slices(&other) == 8);
        more(told, SOME);
        // What it had sent arrives now, long after somebody else took over.
        home.services.network.mend();
        more(told, SOME);
        home.share_out([&one, &other]);
        more(told, SOME);
    });
}

pub(crate) fn answers_of_the_brokers_are_lost(home: &Home<'_>) {
    let _processors = [(); 2].map(|()| home.serve_behind("processor"));
    let (api, _projections) = (home.serve_behind("api"), home.serve_behind("projections"));
    home.under_load(&api, |told| {
        for _ in 0..LOSSES {
            more(told, SOME);
            home.services.network.lose_answers();
            std::thread::sleep(LOST_FOR);
            // Whoever sent something sends it once more.
            home.services.network.mend();
        }
        more(told, SOME);
    });
}
