//! What the integration tests share: real servers, raw clients, and one test function for many servers.

// Every test target uses its own part of this module.
#![allow(dead_code)]
#![allow(unused_macros, unused_imports)]

pub mod client;
pub mod resp;
pub mod server;

pub use client::Client;
pub use resp::Value;
pub use server::{Peer, Server};

/// Makes two tests from each function: one on a server with each engine.
///
/// The parameter is a [`Peer`], which starts the server.
macro_rules! each_engine {
    ($($(#[$meta:meta])* fn $name:ident($peer:pat) $body:block)+) => {
        $(
            $(#[$meta])*
            fn $name($peer: $crate::support::Peer) $body

            $(#[$meta])*
            mod $name {
                #[test]
                fn sharded() {
                    super::$name($crate::support::Peer::Sharded);
                }

                #[test]
                fn channel() {
                    super::$name($crate::support::Peer::Channel);
                }
            }
        )+
    };
}

/// As `each_engine!`, and a third test that puts the same questions to redis-server: what these tests expect is what
/// Redis answers. Without redis-server 7.0 the third test says so and passes.
macro_rules! same_as_redis {
    ($($(#[$meta:meta])* fn $name:ident($peer:pat) $body:block)+) => {
        $(
            $(#[$meta])*
            fn $name($peer: $crate::support::Peer) $body

            $(#[$meta])*
            mod $name {
                #[test]
                fn sharded() {
                    super::$name($crate::support::Peer::Sharded);
                }

                #[test]
                fn channel() {
                    super::$name($crate::support::Peer::Channel);
                }

                #[test]
                fn redis() {
                    if $crate::support::Peer::has_redis() {
                        super::$name($crate::support::Peer::Redis);
                    }
                }
            }
        )+
    };
}

pub(crate) use {each_engine, same_as_redis};
