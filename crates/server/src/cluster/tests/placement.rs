//! Tests of the choice of the node that creates a session.

use std::collections::HashSet;
use std::sync::Arc;

use arbtest::arbtest;
use hearth_peer::Fingerprint;

use crate::cluster::view::PROTOCOL;
use crate::cluster::{Life, Node, NodeLoad, NodeState, Place, View, plan_placement};

fn life(name: &str) -> Life {
    Life {
        name: name.to_owned(),
        epoch: 1,
    }
}

fn node(name: &str, number: u16, load: NodeLoad) -> Node {
    Node {
        life: life(name),
        number,
        address: ([127, 0, 0, 1], number).into(),
        fingerprint: Fingerprint::from([0; 32]),
        state: NodeState::Up,
        load,
        protocol: PROTOCOL,
        version: String::new(),
    }
}

fn load(sessions: usize, max_sessions: usize) -> NodeLoad {
    NodeLoad {
        sessions,
        max_sessions,
        ready: true,
    }
}

/// Returns a view of node `a`, which is this one, and of others.
fn view(nodes: impl IntoIterator<Item = Node>) -> View {
    View {
        nodes: nodes.into_iter().map(Arc::new).collect(),
        own: life("a"),
        ..View::default()
    }
}

/// Returns the names of the nodes.
fn names(places: &[Place]) -> Vec<&str> {
    let mut names = Vec::new();
    for place in places {
        names.push(match place {
            Place::Local => "a",
            Place::Remote(node) => node.life.name.as_str(),
        });
    }
    names
}

#[test]
fn a_session_stays_here_unless_another_node_is_clearly_better() {
    let own = load(5, 10);
    let nodes = |sessions| view([node("a", 1, own), node("b", 2, load(sessions, 10))]);
    for random in 0..4 {
        let first = |sessions| {
            let places = plan_placement(&nodes(sessions), own, |max| random % max);
            names(&places)[0].to_owned()
        };
        assert_eq!(first(4), "a", "ten percent better");
        assert_eq!(first(5), "a");
        assert_eq!(first(9), "a");
        assert_eq!(first(3), "b", "twenty percent better");
    }
}

#[test]
fn nodes_that_cannot_take_a_session_are_not_asked() {
    let full = node("a", 1, load(10, 10));
    let not_ready = node(
        "b",
        2,
        NodeLoad {
            ready: false,
            ..load(0, 10)
        },
    );
    let draining = Node {
        state: NodeState::Draining,
        ..node("c", 3, load(0, 10))
    };
    let newer = Node {
        protocol: PROTOCOL + 1,
        ..node("d", 4, load(0, 10))
    };
    let view = view([full.clone(), not_ready, draining, newer]);
    let places = plan_placement(&view, full.load, |_| 0);
    assert_eq!(names(&places), ["a"], "its error says why");
}

#[test]
fn a_full_node_places_sessions_on_others() {
    let full = node("a", 1, load(2, 2));
    let view = view([
        full.clone(),
        node("b", 2, load(1, 2)),
        node("c", 3, load(0, 2)),
    ]);
    let places = plan_placement(&view, full.load, |_| 0);
    let mut found = names(&places);
    found.sort_unstable();
    assert_eq!(found, ["b", "c"]);
}

#[test]
fn the_load_of_this_node_is_the_current_one() {
    // The view is a second old.
    let view = view([node("a", 1, load(0, 2)), node("b", 2, load(1, 2))]);
    let places = plan_placement(&view, load(2, 2), |_| 0);
    assert_eq!(names(&places), ["b"]);
}

#[test]
fn all_places_are_different_and_can_take_a_session() {
    arbtest(|random| {
        let count = random.int_in_range(0..=12_u16)?;
        let mut nodes = Vec::new();
        for number in 1..=count {
            let max = random.int_in_range(0..=4)?;
            let load = NodeLoad {
                sessions: random.int_in_range(0..=4)?,
                max_sessions: max,
                ready: random.ratio(4_u8, 5_u8)?,
            };
            let name = if number == 1 {
                "a".to_owned()
            } else {
                format!("n{number}")
            };
            nodes.push(Node {
                state: if random.ratio(1_u8, 5_u8)? {
                    NodeState::Draining
                } else {
                    NodeState::Up
                },
                protocol: if random.ratio(1_u8, 9_u8)? {
                    PROTOCOL + 1
                } else {
                    PROTOCOL
                },
                ..node(&name, number, load)
            });
        }
        let own = nodes
            .first()
            .map_or_else(NodeLoad::default, |node| node.load);
        let can_take = |node: &Node| {
            node.state == NodeState::Up
                && node.protocol == PROTOCOL
                && node.load.ready
                && node.load.sessions < node.load.max_sessions
        };
        let open = nodes.iter().filter(|node| can_take(node)).count();
        let view = view(nodes);
        let mut choices = random
            .arbitrary_iter::<usize>()?
            .map_while(Result::ok)
            .collect::<Vec<_>>()
            .into_iter();
        let places = plan_placement(&view, own, |max| choices.next().unwrap_or(0) % max);
        assert_eq!(places.len(), open.clamp(1, 3));
        let mut seen = HashSet::new();
        for place in &places {
            let node = match place {
                Place::Local => view.by_life(&view.own),
                Place::Remote(node) => Some(node),
            };
            assert!(seen.insert(node.map(|node| node.number)), "{places:?}");
            assert!(
                open == 0 || node.is_some_and(|node| can_take(node)),
                "{places:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn equal_nodes_all_get_sessions() {
    let full = node("a", 1, load(10, 10));
    let others = (2..=20).map(|number| node(&format!("n{number}"), number, load(0, 10)));
    let view = view([full.clone()].into_iter().chain(others));
    let mut chosen = HashSet::new();
    let mut state = 1_usize;
    for _ in 0..400 {
        let places = plan_placement(&view, full.load, |max| {
            // A linear congruential generator, so that the test always makes the same choices.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % max
        });
        if let Some(Place::Remote(node)) = places.first() {
            chosen.insert(node.number);
        }
    }
    assert_eq!(chosen.len(), 19);
}
