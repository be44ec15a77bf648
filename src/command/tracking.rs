//! CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO: clients that keep copies of what they read.

use super::{Arity, Call, Flags, Keys, Next, Run, Spec};
use crate::error::Error;
use crate::reply::Reply;
use crate::server::clients::Client;
use crate::server::tracking::mode;
use crate::session::Session;
use crate::sync::Arc;

const FLAGS: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::SENTINEL);

pub(super) const CACHING: Spec = Spec {
    name: "caching",
    arity: Arity::exactly(3),
    keys: Keys::None,
    run: Run::Session(caching),
    flags: FLAGS,
    since: "6.0.0",
    complexity: "O(1)",
    summary: "Tells whether copies of what the next command reads are kept.",
};

pub(super) const GETREDIR: Spec = Spec {
    name: "getredir",
    arity: Arity::exactly(2),
    keys: Keys::None,
    run: Run::Session(getredir),
    flags: FLAGS,
    since: "6.0.0",
    complexity: "O(1)",
    summary: "Returns the client that is told of changes in place of this one.",
};

pub(super) const TRACKING: Spec = Spec {
    name: "tracking",
    arity: Arity::at_least(3),
    keys: Keys::None,
    run: Run::Session(tracking),
    flags: FLAGS,
    since: "6.0.0",
    complexity: "O(1). Some options may introduce additional complexity.",
    summary: "Has the connection told when keys change that it keeps copies of.",
};

pub(super) const TRACKINGINFO: Spec = Spec {
    name: "trackinginfo",
    arity: Arity::exactly(2),
    keys: Keys::None,
    run: Run::Session(trackinginfo),
    flags: FLAGS,
    since: "6.2.0",
    complexity: "O(1)",
    summary: "Returns how the connection is told of changes.",
};

/// `CLIENT TRACKING ON | OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]` -> OK.
fn tracking(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let client = &session.client;
    let options = Options::parse(call)?;
    if call.is(2, "off") {
        call.server.tracking.stop(client, &call.server.env);
        reply.ok();
        return Ok(Next::Continue);
    }
    if !call.is(2, "on") {
        return Err(Error::Syntax);
    }
    options.check(client.tracking_modes())?;
    if let Some(text) = overlap(&options.prefixes, call, client) {
        reply.error(text);
        return Ok(Next::Continue);
    }
    let modes = options.modes | mode::ON;
    call.server.tracking.start(client, modes, options.redirect, &options.prefixes, &call.server.env);
    reply.ok();
    Ok(Next::Continue)
}

#[derive(Default)]
struct Options<'a> {
    /// Bits of [`mode`].
    modes: u32,
    redirect: Option<Arc<Client>>,
    prefixes: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(call: &Call<'a>) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut i = 3;
        while i < call.len() {
            let has_value = i + 1 < call.len();
            if call.is(i, "redirect") && has_value {
                i += 1;
                if options.redirect.is_some() {
                    return Err(Error::Other("ERR A client can only redirect to a single other client"));
                }
                let id = call.integer(i)?;
                let target = u64::try_from(id).ok().and_then(|id| call.server.clients.get(id));
                options.redirect = Some(target.ok_or(NO_TARGET)?);
            } else if call.is(i, "bcast") {
                options.modes |= mode::BCAST;
            } else if call.is(i, "optin") {
                options.modes |= mode::OPTIN;
            } else if call.is(i, "optout") {
                options.modes |= mode::OPTOUT;
            } else if call.is(i, "noloop") {
                options.modes |= mode::NOLOOP;
            } else if call.is(i, "prefix") && has_value {
                i += 1;
                options.prefixes.push(call.arg(i));
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }

    /// Whether the modes go together, and with those that the client has. The order of the questions is Redis'.
    fn check(&self, now: u32) -> Result<(), Error> {
        let (has, had) = (|bit| self.modes & bit != 0, |bit| now & bit != 0);
        if !has(mode::BCAST) && !self.prefixes.is_empty() {
            return Err(Error::Other("ERR PREFIX option requires BCAST mode to be enabled"));
        }
        if had(mode::ON) && had(mode::BCAST) != has(mode::BCAST) {
            return Err(Error::Other(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling \
                 it with a different mode.",
            ));
        }
        if has(mode::BCAST) && (has(mode::OPTIN) || has(mode::OPTOUT)) {
            return Err(Error::Other("ERR OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if has(mode::OPTIN) && has(mode::OPTOUT) {
            return Err(Error::Other("ERR You can't specify both OPTIN mode and OPTOUT mode"));
        }
        if has(mode::OPTIN) && had(mode::OPTOUT) || has(mode::OPTOUT) && had(mode::OPTIN) {
            return Err(Error::Other(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling \
                 it with a different mode.",
            ));
        }
        Ok(())
    }
}

const NO_TARGET: Error = Error::Other("ERR The client ID you want redirect to does not exist");

/// The error when two prefixes would tell of the same key.
fn overlap(prefixes: &[&[u8]], call: &Call<'_>, client: &Client) -> Option<Vec<u8>> {
    let own = if prefixes.is_empty() { Vec::new() } else { call.server.tracking.prefixes(client) };
    let collide = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    for (i, &prefix) in prefixes.iter().enumerate() {
        let old = own.iter().map(|other| (&**other, &b"an existing"[..])).find(|(other, _)| collide(other, prefix));
        let new = || prefixes[i + 1..].iter().map(|&other| (other, &b"another provided"[..]));
        if let Some((other, which)) = old.or_else(|| new().find(|(other, _)| collide(other, prefix))) {
            let rule = b"'. Prefixes for a single client must not overlap.";
            return Some([b"ERR Prefix '", prefix, b"' overlaps with ", which, b" prefix '", other, rule].concat());
        }
    }
    None
}

/// CLIENT CACHING YES | NO -> OK. It is about the next command, or the next transaction.
fn caching(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let modes = session.client.tracking_modes();
    if modes & mode::ON == 0 {
        return Err(Error::Other(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    }
    if call.is(2, "yes") {
        if modes & mode::OPTIN == 0 {
            return Err(Error::Other("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."));
        }
    } else if call.is(2, "no") {
        if modes & mode::OPTOUT == 0 {
            return Err(Error::Other("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."));
        }
    } else {
        return Err(Error::Syntax);
    }
    session.client.tell_caching(true);
    reply.ok();
    Ok(Next::Continue)
}

/// CLIENT GETREDIR -> the number of the client that is told instead; 0 for none, -1 when this one does not track.
fn getredir(session: &mut Session, _: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    reply.integer(redirection(&session.client));
    Ok(Next::Continue)
}

/// As GETREDIR answers.
pub(super) fn redirection(client: &Client) -> i64 {
    match client.tracking_modes() & mode::ON {
        0 => -1,
        _ => client.redirect().map_or(0, |target| target.id as i64),
    }
}

/// CLIENT TRACKINGINFO -> a map: modes, redirection, prefixes.
fn trackinginfo(session: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    let modes = session.client.tracking_modes();
    let has = |bits: u32| modes & bits == bits;
    let flags: Vec<&str> = [
        (has(mode::ON), "on"),
        (!has(mode::ON), "off"),
        (has(mode::BCAST), "bcast"),
        (has(mode::OPTIN), "optin"),
        (has(mode::OPTIN | mode::CACHING), "caching-yes"),
        (has(mode::OPTOUT), "optout"),
        (has(mode::OPTOUT | mode::CACHING), "caching-no"),
        (has(mode::NOLOOP), "noloop"),
        (has(mode::BROKEN), "broken_redirect"),
    ]
    .into_iter()
    .filter_map(|(is_set, name)| is_set.then_some(name))
    .collect();
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.integer(redirection(&session.client));
    reply.bulk(b"prefixes");
    let prefixes = if has(mode::BCAST) { call.server.tracking.prefixes(&session.client) } else { Vec::new() };
    reply.array(prefixes.len());
    prefixes.iter().for_each(|prefix| reply.bulk(prefix));
    Ok(Next::Continue)
}
