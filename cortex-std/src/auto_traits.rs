//! Which public types are `Send` and `Sync`: the same with and without the feature `tokio`.

use crate::discovery::{
    Client, Daemon, DaemonHandle, Diagnosis, DiscoveryError, Fault, Found, Origin, Topic, Verdict,
};
use crate::inspect::{Libzmq, Probe};
use crate::raw::{Payload, RawMessage, RawOptions, RawPublisher, RawSubscriber};
use crate::wire::StringMessage;
use crate::*;

/// Resolves to true where `T` has the trait: an inherent constant wins over that of a trait.
macro_rules! has {
    ($bound:ident, $type:ty) => {{
        #[allow(dead_code, reason = "unused where the type has the trait")]
        trait Otherwise {
            const HAS: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}
        #[allow(dead_code, reason = "unused where the type lacks the trait")]
        struct Test<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "unused where the type lacks the trait")]
        impl<T: ?Sized + $bound> Test<T> {
            const HAS: bool = true;
        }
        <Test<$type>>::HAS
    }};
}

/// Asserts `Send` and `Sync` of types; returns their names.
macro_rules! assert_auto_traits {
    ($($type:ty: $send:literal $sync:literal;)*) => {{
        $(
            assert_eq!(has!(Send, $type), $send, "Send for {}", stringify!($type));
            assert_eq!(has!(Sync, $type), $sync, "Sync for {}", stringify!($type));
        )*
        vec![$(stringify!($type)),*]
    }};
}

type M = StringMessage<'static>;

#[test]
fn public_types_have_the_same_auto_traits_with_and_without_tokio() {
    let asserted = assert_auto_traits! {
        // The callbacks of a node share state without locks.
        Node: false false;
        PublisherBuilder<'static, M>: true true;
        SubscriberBuilder<'static, M>: false false;
        TimerBuilder<'static>: false false;
        NodeBuilder: true true;
        NodeHandle: true true;
        NodeStats: true true;
        Publisher<M>: true true;
        Published: true true;
        Transport: true true;
        PublisherStats: true true;
        PeerStats: true true;
        SharedStats: true true;
        PublishError: true true;
        Loan<'static, M, u8>: true true;
        Stamped<'static, M>: true true;
        Registration: true true;
        // It calls `FnMut` callbacks.
        Subscriber<M>: true false;
        SubscriberHandle: true true;
        SubscriberStats: true true;
        ThreadSubscriber: true true;
        Sample<M>: true true;
        Queue: true true;
        Header: true true;
        Loss: true true;
        LossKind: true true;
        Rejected: true true;
        Latency: true true;
        Samples: true true;
        SequenceTracker: true true;
        Step: true true;
        ReceiveError: true true;
        ThreadTimer: true true;
        Tick: true true;
        MissedTicks: true true;
        TimerStats: true true;
        Quantiles: true true;
        PublisherInfo: true true;
        SubscriberInfo: true true;
        ThreadOptions: true true;
        ThreadHandle: true true;
        StopToken: true true;
        CreateError: true true;
        NameError: true true;
        ThreadError: true true;
        RegistrationError: true true;
        WaitError: true true;
        Error: true true;
        Result<()>: true true;
        EndpointError: true true;
        SocketError: true true;
        SocketErrorKind: true true;
        // It borrows any error.
        ErrorChain<'static>: false false;
        RawPublisher: true true;
        RawOptions: true true;
        Diagnosis: true true;
        Fault: true true;
        RawSubscriber: true true;
        RawMessage: true true;
        Payload<'static>: true true;
        Client: true true;
        Daemon: true true;
        DaemonHandle: true true;
        DiscoveryError: true true;
        Found: true true;
        Topic: true true;
        Origin: true true;
        Verdict: true true;
        crate::discovery::Registry: true true;
        Libzmq: true true;
        Probe: true true;
    };
    #[cfg(feature = "tokio")]
    let of_tokio = assert_auto_traits! {
        crate::discovery::AsyncClient: true true;
        TimerHandle: true true;
    };
    #[cfg(not(feature = "tokio"))]
    let of_tokio = Vec::new();
    let asserted: Vec<&str> = asserted
        .iter()
        .chain(&of_tokio)
        .map(|name| name.rsplit("::").next().unwrap_or(name))
        .map(|name| name.split([' ', '<']).next().unwrap_or(name))
        .collect();
    for name in exported() {
        let is_async =
            ["AsyncClient", "TimerHandle"].contains(&&*name) && cfg!(not(feature = "tokio"));
        assert!(is_async || asserted.contains(&&*name), "{name} is not asserted here");
    }
}

/// The types and traits that the public modules export.
fn exported() -> Vec<String> {
    let sources = [
        include_str!("lib.rs"),
        include_str!("discovery/mod.rs"),
        include_str!("raw/mod.rs"),
        include_str!("inspect.rs"),
    ];
    let uses = sources.iter().flat_map(|source| source.split("\npub use ").skip(1));
    let names = uses.filter_map(|rest| rest.split(';').next()).flat_map(|path| {
        let path = path.rsplit("::").next().unwrap_or(path);
        path.split([',', '{', '}']).map(str::trim).map(str::to_owned).collect::<Vec<_>>()
    });
    let is_type = |name: &String| {
        let rest = name.get(1..).unwrap_or_default();
        name.starts_with(|first: char| first.is_ascii_uppercase())
            && rest.contains(|letter: char| letter.is_ascii_lowercase())
    };
    // A trait has no auto traits.
    names.filter(is_type).filter(|name| !["CallbackResult", "Message"].contains(&&**name)).collect()
}
