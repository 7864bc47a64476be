//! The services themselves: started, stopped, killed, started again.

use std::net::TcpStream;
use std::time::Duration;

use purefold_services::{Consul, Instance};

use super::cache;

fn live_and_die(mut instance: Instance, host: &str) {
    let connects = || TcpStream::connect(host).is_ok();
    assert!(instance.is_running() && connects());
    instance.pause().unwrap();
    assert!(instance.is_running(), "a process that is stopped by a signal still runs");
    instance.resume().unwrap();
    instance.kill().unwrap();
    assert!(!instance.is_running() && !connects());
    instance.start_again().unwrap();
    assert!(connects(), "at the same address");
    instance.stop().unwrap();
    assert!(!connects());
    instance.start_again().unwrap();
    drop(instance);
    std::thread::sleep(Duration::from_millis(10));
    assert!(!connects());
}

#[test]
fn kafka_lives_and_dies() {
    let kafka = Instance::kafka(&cache()).unwrap();
    let host = kafka.address().to_owned();
    live_and_die(kafka, &host);
}

#[test]
fn consul_lives_and_dies() {
    let consul = Instance::consul(&cache(), &Consul::default()).unwrap();
    let host = consul.address().trim_start_matches("http://").to_owned();
    live_and_die(consul, &host);
}

#[test]
fn postgresql_lives_and_dies() {
    let postgres = Instance::postgres().unwrap();
    let host = postgres.address().rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned();
    live_and_die(postgres, &host);
}
