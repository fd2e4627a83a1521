//! What was acknowledged survives `kill -9`: people sign up, in and out while
//! the server is killed again and again, and every answer they got is still
//! true after the restart.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use crate::people::{Fact, Node, check, ended, live, signed_up, until};
use crate::support::{Running, sojourn};

const ROUNDS: u32 = 4;
const PEOPLE: u32 = 6;

#[test]
fn r_01_acknowledged_writes_survive_kill_9_under_load() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let facts: Arc<Mutex<Vec<Fact>>> = Arc::default();
    let start = || {
        let mut command = sojourn(folder.path());
        command.args(["test-server", "--port", "0", "--json", "--data"]).arg(folder.path().join("data"));
        Running::start(&mut command)
    };
    for round in 0..ROUNDS {
        let mut server = start();
        let node = Arc::new(Node::of(&server));
        let stop = Arc::new(AtomicBool::new(false));
        runtime.block_on(async {
            let mut people = tokio::task::JoinSet::new();
            for person in 0..PEOPLE {
                let (node, facts, stop) = (node.clone(), facts.clone(), stop.clone());
                people.spawn(async move {
                    for turn in 0.. {
                        let name = format!("p{round}x{person}x{turn}");
                        let tell = |fact| facts.lock().expect("not poisoned").push(fact);
                        let alive = live(&node, &name, turn + person, tell).await.is_some();
                        if !alive || stop.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                });
            }
            let (ups, ends) = (signed_up(&facts) + 4, ended(&facts) + 2);
            until("people sign up and out", || signed_up(&facts) >= ups && ended(&facts) >= ends).await;
            server.child.kill().expect("SIGKILL");
            server.child.wait().expect("gone");
            stop.store(true, Ordering::Relaxed);
            while people.join_next().await.is_some() {}
        });
    }
    let facts = facts.lock().expect("not poisoned").clone();
    let server = start();
    let node = Node::of(&server);
    runtime.block_on(async {
        for fact in &facts {
            check(&node, fact).await;
        }
    });
}
