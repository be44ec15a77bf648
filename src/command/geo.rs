//! Places: GEOADD GEOPOS GEOHASH GEODIST. Searches are in a file of their own.
//!
//! Places are members of a sorted set whose scores are geohashes: see `grid`.

mod grid;
pub(super) mod search;

use super::typed::view;
use super::zset::{self, Conditions};
use super::{Arity, Call, Effect, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::fault;
use crate::number::parse_f64;
use crate::reply::Reply;
use crate::store::zset::View;
use crate::store::{Entry, Slot};
use grid::Place;

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "geoadd",
        arity: Arity::at_least(5),
        keys: Keys::ONE,
        run: Run::Write(geoadd),
        flags: Flags::DENYOOM,
        since: "3.2.0",
        complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        summary: "Adds one or more members to a geospatial index. The key is created if it doesn't exist.",
    },
    Spec {
        name: "geopos",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Read(geopos),
        flags: Flags::NONE,
        since: "3.2.0",
        complexity: "O(1) for each member requested.",
        summary: "Returns the longitude and latitude of members from a geospatial index.",
    },
    Spec {
        name: "geohash",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Read(geohash),
        flags: Flags::NONE,
        since: "3.2.0",
        complexity: "O(1) for each member requested.",
        summary: "Returns members from a geospatial index as geohash strings.",
    },
    Spec {
        name: "geodist",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Read(geodist),
        flags: Flags::NONE,
        since: "3.2.0",
        complexity: "O(1)",
        summary: "Returns the distance between two members of a geospatial index.",
    },
];

/// `GEOADD key [NX | XX] [CH] longitude latitude member ...` -> how many were added, with CH how many changed.
fn geoadd(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let (mut conditions, mut first) = (Conditions::default(), 2);
    while first < call.len() {
        if call.is(first, "nx") {
            conditions.nx = true;
        } else if call.is(first, "xx") {
            conditions.xx = true;
        } else if call.is(first, "ch") {
            conditions.ch = true;
        } else {
            break;
        }
        first += 1;
    }
    let rest = call.len() - first;
    if !rest.is_multiple_of(3) || conditions.nx && conditions.xx {
        return Err(Error::Syntax);
    }
    let mut items = Vec::with_capacity(rest / 3);
    for i in (first..call.len()).step_by(3) {
        match place(call, i) {
            Ok(place) => items.push((place.score(), call.arg(i + 2))),
            Err(refusal) => return refusal.write(reply).map(|()| Effect::None),
        }
    }
    if items.is_empty() {
        return Err(Error::Syntax);
    }
    fault::point("geo.add");
    zset::put(slot, call, conditions, &items, reply)
}

/// GEOPOS key member ... -> an array of longitudes and latitudes, nil for each member that is missing.
fn geopos(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let places = places(entry)?;
    reply.array(call.len() - 2);
    for member in call.args(2) {
        match places.of(member) {
            Some(place) => write_place(place, reply),
            None => reply.nil_array(),
        }
    }
    Ok(())
}

/// GEOHASH key member ... -> an array of geohashes of 11 letters, nil for each member that is missing.
fn geohash(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let places = places(entry)?;
    reply.array(call.len() - 2);
    for member in call.args(2) {
        match places.of(member) {
            Some(place) => reply.bulk(&place.geohash()),
            None => reply.nil(),
        }
    }
    Ok(())
}

/// `GEODIST key member1 member2 [M | KM | FT | MI]` -> the distance; nil when one is missing.
fn geodist(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let unit = match call.len() {
        4 => 1.0,
        5 => unit(call, 4)?,
        _ => return Err(Error::Syntax),
    };
    let places = places(entry)?;
    match places.of(call.arg(2)).zip(places.of(call.arg(3))) {
        Some((one, other)) => write_distance(one.distance(other) / unit, reply),
        None => reply.nil(),
    }
    Ok(())
}

/// The places of a key, which may be missing.
#[derive(Clone, Copy)]
struct Places<'a>(Option<View<'a>>);

fn places(entry: Option<&Entry>) -> Result<Places<'_>, Error> {
    view(entry, View::of).map(Places)
}

impl Places<'_> {
    fn of(self, member: &[u8]) -> Option<Place> {
        self.0?.score(member).map(Place::of_score)
    }
}

/// Why a request is refused: a fixed text, or one with something of the request in it.
enum Refusal {
    Fixed(Error),
    Worded(Vec<u8>),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Fixed(error)
    }
}

impl Refusal {
    fn write(self, reply: &mut Reply) -> Result<(), Error> {
        match self {
            Self::Fixed(error) => Err(error),
            Self::Worded(text) => {
                reply.error(text);
                Ok(())
            }
        }
    }
}

/// The longitude in argument `at` and the latitude behind it.
fn place(call: &Call<'_>, at: usize) -> Result<Place, Refusal> {
    let longitude = parse_f64(call.arg(at)).ok_or(Error::NotAFloat)?;
    let latitude = parse_f64(call.arg(at + 1)).ok_or(Error::NotAFloat)?;
    let place = Place { longitude, latitude };
    if !place.is_valid() {
        let text = format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}");
        return Err(Refusal::Worded(text.into_bytes()));
    }
    Ok(place)
}

/// Metres of the unit in argument `at`.
fn unit(call: &Call<'_>, at: usize) -> Result<f64, Error> {
    const UNITS: [(&str, f64); 4] = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    let found = UNITS.iter().find(|(name, _)| call.is(at, name));
    found.map(|(_, metres)| *metres).ok_or(Error::Other("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

/// A string with four digits behind the point, whatever the protocol.
fn write_distance(distance: f64, reply: &mut Reply) {
    reply.bulk(format!("{distance:.4}").as_bytes());
}

/// Two doubles with as many as 17 digits behind the point, as Redis wrote them up to 7.4.
fn write_place(place: Place, reply: &mut Reply) {
    reply.array(2);
    for coordinate in [place.longitude, place.latitude] {
        let text = format!("{coordinate:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        reply.double_as(if text == "-0" { b"0" } else { text.as_bytes() });
    }
}
