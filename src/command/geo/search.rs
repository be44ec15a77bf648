//! Searches for places: GEOSEARCH GEOSEARCHSTORE, and the older GEORADIUS with its relatives.

use super::super::zset::store;
use super::super::{
    Arguments, Arity, Call, Effects, Event, Finder, Flags, Keys, Long, Place as KeyPlace, Places, Run, Slots, Spec,
};
use super::grid::{Place, Shape};
use super::{Refusal, place, places, unit, write_distance, write_place};
use crate::error::Error;
use crate::number::parse_f64;
use crate::reply::Reply;
use crate::store::Entry;
use crate::store::zset::{self, Item, View};

const RADIUS: &str = "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited \
                      by center and radius and M is the number of items inside the index.";

const AREA: &str = "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape \
                    provided as the filter and M is the number of items inside the shape";

pub(in super::super) const SPECS: &[Spec] = &[
    Spec {
        name: "geosearch",
        arity: Arity::at_least(7),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(geosearch), work_of_geosearch)),
        flags: Flags::NONE,
        since: "6.2.0",
        complexity: AREA,
        summary: "Queries a geospatial index for members inside an area of a box or a circle.",
    },
    Spec {
        name: "geosearchstore",
        arity: Arity::at_least(8),
        keys: Keys::TWO,
        run: Run::Long(&Long::store(Run::WriteMany(geosearchstore), work_of_geosearchstore, 0)),
        flags: Flags::DENYOOM,
        since: "6.2.0",
        complexity: AREA,
        summary: "Queries a geospatial index for members inside an area of a box or a circle, optionally stores the result.",
    },
    Spec {
        name: "georadius",
        arity: Arity::at_least(6),
        keys: WITH_STORE,
        run: Run::Long(&Long::store(Run::WriteMany(georadius), work_of_georadius, 1)),
        flags: Flags::DENYOOM,
        since: "3.2.0",
        complexity: RADIUS,
        summary: "Queries a geospatial index for members within a distance from a coordinate, optionally stores the result.",
    },
    Spec {
        name: "georadius_ro",
        arity: Arity::at_least(6),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(georadius_ro), work_of_georadius_ro)),
        flags: Flags::NONE,
        since: "3.2.10",
        complexity: RADIUS,
        summary: "Returns members from a geospatial index that are within a distance from a coordinate.",
    },
    Spec {
        name: "georadiusbymember",
        arity: Arity::at_least(5),
        keys: WITH_STORE,
        run: Run::Long(&Long::store(Run::WriteMany(georadiusbymember), work_of_georadiusbymember, 1)),
        flags: Flags::DENYOOM,
        since: "3.2.0",
        complexity: RADIUS,
        summary: "Queries a geospatial index for members within a distance from a member, optionally stores the result.",
    },
    Spec {
        name: "georadiusbymember_ro",
        arity: Arity::at_least(5),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(georadiusbymember_ro), work_of_georadiusbymember_ro)),
        flags: Flags::NONE,
        since: "3.2.10",
        complexity: RADIUS,
        summary: "Returns members from a geospatial index that are within a distance from a member.",
    },
];

/// The first argument, and the one behind the last STORE or STOREDIST.
const WITH_STORE: Keys = Keys::Found(&Finder { codes: [1, 1, 1], is_movable: true, find: keys_with_store });

fn keys_with_store(arguments: Arguments<'_>) -> Places {
    let mut target = None;
    let mut i = 5;
    while i + 1 < arguments.len() {
        if arguments.is(i, "store") || arguments.is(i, "storedist") {
            target = Some(i + 1);
            i += 1;
        }
        i += 1;
    }
    [Some(1), target].into_iter().flatten().map(KeyPlace::here).collect()
}

/// `GEOSEARCH key FROMMEMBER member | FROMLONLAT longitude latitude BYRADIUS radius unit | BYBOX width height unit
/// [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]` -> members, with what was asked for as arrays.
fn geosearch(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    read(Form::Search, entry, call, reply)
}

/// `GEORADIUS_RO key longitude latitude radius unit ...`
fn georadius_ro(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    read(Form::Around { can_store: false }, entry, call, reply)
}

/// `GEORADIUSBYMEMBER_RO key member radius unit ...`
fn georadiusbymember_ro(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    read(Form::AroundMember { can_store: false }, entry, call, reply)
}

fn read(form: Form, entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let zset = places(entry)?.0;
    match Query::parse(form, zset, call) {
        Ok(query) => query.answer(zset, reply),
        Err(refusal) => return refusal.write(reply),
    }
    Ok(())
}

/// `GEOSEARCHSTORE destination source ... [STOREDIST]` -> how many were stored.
fn geosearchstore(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    write(Form::SearchStore, slots, call, reply)
}

/// `GEORADIUS key longitude latitude radius unit ... [STORE key | STOREDIST key]` -> members, or how many were stored.
fn georadius(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    write(Form::Around { can_store: true }, slots, call, reply)
}

/// `GEORADIUSBYMEMBER key member radius unit ... [STORE key | STOREDIST key]`
fn georadiusbymember(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    write(Form::AroundMember { can_store: true }, slots, call, reply)
}

fn write(form: Form, slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    let (source, target, event) = match form {
        Form::SearchStore => (1, 0, "geosearchstore"),
        _ => (0, 1, "georadiusstore"),
    };
    let zset = places(slots.entries().nth(source).flatten())?.0;
    let query = match Query::parse(form, zset, call) {
        Ok(query) => query,
        Err(refusal) => return refusal.write(reply).map(|()| Effects::new()),
    };
    let Some(score) = query.store else {
        query.answer(zset, reply);
        return Ok(Effects::new());
    };
    let found = zset.map_or_else(Vec::new, |zset| query.run(zset));
    let scored = |hit: &Hit<'_>| match score {
        Score::Place => hit.score,
        Score::Distance => hit.distance / query.unit,
    };
    let mut items: Vec<Item<'_>> = found.iter().map(|hit| Item { member: hit.member, score: scored(hit) }).collect();
    items.sort_unstable_by(Item::order);
    let built = zset::build(&items, &call.zset_limits());
    Ok(store(built, slots, target, Event(event), reply))
}

/// What a search goes through; nothing where it fails.
fn work(form: Form, source: Option<&Entry>, call: &Call<'_>) -> usize {
    let Some(zset) = source.and_then(View::of) else { return 0 };
    Query::parse(form, Some(zset), call).map_or(0, |query| query.work(zset))
}

fn work_of_geosearch(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(Form::Search, entries[0], call)
}

fn work_of_geosearchstore(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(Form::SearchStore, entries[1], call)
}

fn work_of_georadius(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(Form::Around { can_store: true }, entries[0], call)
}

fn work_of_georadius_ro(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(Form::Around { can_store: false }, entries[0], call)
}

fn work_of_georadiusbymember(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(Form::AroundMember { can_store: true }, entries[0], call)
}

fn work_of_georadiusbymember_ro(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work(Form::AroundMember { can_store: false }, entries[0], call)
}

/// How the arguments are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Search,
    SearchStore,
    Around { can_store: bool },
    AroundMember { can_store: bool },
}

/// What is stored as the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Score {
    Place,
    Distance,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    None,
    Ascending,
    Descending,
}

/// A search. Without a key there is nothing to search, and the centre may be anywhere.
struct Query {
    centre: Place,
    shape: Shape,
    /// Metres.
    unit: f64,
    sort: Sort,
    /// At most this many; 0 for all.
    count: usize,
    /// Whether any will do, instead of the nearest.
    any: bool,
    with_distance: bool,
    with_hash: bool,
    with_place: bool,
    /// That the result is stored, and with which scores.
    store: Option<Score>,
}

/// A place that was found.
struct Hit<'a> {
    member: &'a [u8],
    score: f64,
    place: Place,
    /// Metres.
    distance: f64,
}

impl Query {
    fn parse(form: Form, zset: Option<View<'_>>, call: &Call<'_>) -> Result<Self, Refusal> {
        let mut query = Self {
            centre: Place { longitude: 0.0, latitude: 0.0 },
            shape: Shape::Circle { radius: 0.0 },
            unit: 1.0,
            sort: Sort::None,
            count: 0,
            any: false,
            with_distance: false,
            with_hash: false,
            with_place: false,
            store: (form == Form::SearchStore).then_some(Score::Place),
        };
        let mut around = Around::default();
        let first = match form {
            Form::Search => 2,
            Form::SearchStore => 3,
            Form::Around { .. } => {
                query.centre = place(call, 2)?;
                query.circle(call, 4)?;
                6
            }
            Form::AroundMember { .. } => {
                // Redis looks no further at these arguments where there is no key.
                if zset.is_some() {
                    query.centre = member(zset, call.arg(2))?;
                    query.circle(call, 3)?;
                }
                5
            }
        };
        let mut i = first;
        while i < call.len() {
            i += match query.option(form, &mut around, zset, call, i)? {
                0 => return Err(Error::Syntax.into()),
                taken => taken,
            };
        }
        query.check(form, &around, call)?;
        // The nearest ones are meant.
        if query.count > 0 && query.sort == Sort::None && !query.any {
            query.sort = Sort::Ascending;
        }
        Ok(query)
    }

    /// Reads the option in argument `i`; gives how many arguments it takes, 0 for none that is known here.
    fn option(
        &mut self,
        form: Form,
        around: &mut Around,
        zset: Option<View<'_>>,
        call: &Call<'_>,
        i: usize,
    ) -> Result<usize, Refusal> {
        let behind = call.len() - i - 1;
        let is_search = matches!(form, Form::Search | Form::SearchStore);
        let can_store = matches!(form, Form::Around { can_store: true } | Form::AroundMember { can_store: true });
        let is = |word: &str| call.is(i, word);
        if is("withdist") {
            self.with_distance = true;
        } else if is("withhash") {
            self.with_hash = true;
        } else if is("withcoord") {
            self.with_place = true;
        } else if is("any") {
            self.any = true;
        } else if is("asc") {
            self.sort = Sort::Ascending;
        } else if is("desc") {
            self.sort = Sort::Descending;
        } else if is("count") && behind >= 1 {
            let count = usize::try_from(call.integer(i + 1)?).ok().filter(|count| *count > 0);
            self.count = count.ok_or(Error::Other("ERR COUNT must be > 0"))?;
            return Ok(2);
        } else if can_store && behind >= 1 && is("store") {
            self.store = Some(Score::Place);
            return Ok(2);
        } else if can_store && behind >= 1 && is("storedist") {
            self.store = Some(Score::Distance);
            return Ok(2);
        } else if form == Form::SearchStore && is("storedist") {
            self.store = Some(Score::Distance);
        } else if is_search && behind >= 1 && !around.place && is("frommember") {
            around.member = true;
            if zset.is_some() {
                self.centre = member(zset, call.arg(i + 1))?;
            }
            return Ok(2);
        } else if is_search && behind >= 2 && !around.member && is("fromlonlat") {
            around.place = true;
            self.centre = place(call, i + 1)?;
            return Ok(3);
        } else if is_search && behind >= 2 && !around.in_box && is("byradius") {
            around.in_circle = true;
            self.circle(call, i + 1)?;
            return Ok(3);
        } else if is_search && behind >= 3 && !around.in_circle && is("bybox") {
            around.in_box = true;
            self.rectangle(call, i + 1)?;
            return Ok(4);
        } else {
            return Ok(0);
        }
        Ok(1)
    }

    /// Refuses options that do not go together.
    fn check(&self, form: Form, around: &Around, call: &Call<'_>) -> Result<(), Refusal> {
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_place) {
            return Err(Refusal::Fixed(Error::Other(match form {
                Form::SearchStore => {
                    "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
                }
                _ => "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
            })));
        }
        if matches!(form, Form::Search | Form::SearchStore) {
            let missing = |choice: &[u8]| {
                let text = [b"ERR exactly one of ", choice, b" can be specified for ", call.arg(0)].concat();
                Err(Refusal::Worded(text))
            };
            if !around.member && !around.place {
                return missing(b"FROMMEMBER or FROMLONLAT");
            }
            if !around.in_circle && !around.in_box {
                return missing(b"BYRADIUS and BYBOX");
            }
        }
        if self.any && self.count == 0 {
            return Err(Error::Other("ERR the ANY argument requires COUNT argument").into());
        }
        Ok(())
    }

    /// A radius in argument `at` and its unit.
    fn circle(&mut self, call: &Call<'_>, at: usize) -> Result<(), Error> {
        let radius = parse_f64(call.arg(at)).ok_or(Error::Other("ERR need numeric radius"))?;
        if radius < 0.0 {
            return Err(Error::Other("ERR radius cannot be negative"));
        }
        self.unit = unit(call, at + 1)?;
        self.shape = Shape::Circle { radius: radius * self.unit };
        Ok(())
    }

    /// A width and a height in the arguments from `at` on, and their unit.
    fn rectangle(&mut self, call: &Call<'_>, at: usize) -> Result<(), Error> {
        let width = parse_f64(call.arg(at)).ok_or(Error::Other("ERR need numeric width"))?;
        let height = parse_f64(call.arg(at + 1)).ok_or(Error::Other("ERR need numeric height"))?;
        if width < 0.0 || height < 0.0 {
            return Err(Error::Other("ERR height or width cannot be negative"));
        }
        self.unit = unit(call, at + 2)?;
        self.shape = Shape::Box { width: width * self.unit, height: height * self.unit };
        Ok(())
    }

    /// About how many members are gone through.
    fn work(&self, zset: View<'_>) -> usize {
        let ranges = self.shape.ranges(self.centre).into_iter();
        let included = std::ops::Bound::Included;
        let lens = ranges.map(|(from, to)| zset.score_ranks(included(from), std::ops::Bound::Excluded(to)).len());
        let all = lens.fold(0, usize::saturating_add);
        if self.any { all.min(self.count) } else { all }
    }

    /// What is found, as it was asked for.
    fn run<'a>(&self, zset: View<'a>) -> Vec<Hit<'a>> {
        let enough = if self.any { self.count } else { usize::MAX };
        let mut hits = Vec::new();
        for (from, to) in self.shape.ranges(self.centre) {
            let ranks = zset.score_ranks(std::ops::Bound::Included(from), std::ops::Bound::Excluded(to));
            let hit = |Item { member, score }: Item<'a>| {
                let place = Place::of_score(score);
                let distance = self.shape.distance(self.centre, place)?;
                Some(Hit { member, score, place, distance })
            };
            hits.extend(zset.range(ranks).filter_map(hit).take(enough - hits.len()));
        }
        let order = |a: &Hit<'_>, b: &Hit<'_>| match self.sort {
            Sort::Descending => b.distance.total_cmp(&a.distance),
            _ => a.distance.total_cmp(&b.distance),
        };
        if self.count > 0 && self.count < hits.len() {
            if self.sort != Sort::None {
                hits.select_nth_unstable_by(self.count, order);
            }
            hits.truncate(self.count);
        }
        if self.sort != Sort::None {
            hits.sort_by(order);
        }
        hits
    }

    fn answer(&self, zset: Option<View<'_>>, reply: &mut Reply) {
        let hits = zset.map_or_else(Vec::new, |zset| self.run(zset));
        let extras = usize::from(self.with_distance) + usize::from(self.with_hash) + usize::from(self.with_place);
        reply.array(hits.len());
        for hit in hits {
            if extras > 0 {
                reply.array(extras + 1);
            }
            reply.bulk(hit.member);
            if self.with_distance {
                write_distance(hit.distance / self.unit, reply);
            }
            if self.with_hash {
                reply.integer(hit.score as i64);
            }
            if self.with_place {
                write_place(hit.place, reply);
            }
        }
    }
}

/// Which of the options that exclude each other were there.
#[derive(Default)]
struct Around {
    member: bool,
    place: bool,
    in_circle: bool,
    in_box: bool,
}

/// The place of a member.
fn member(zset: Option<View<'_>>, member: &[u8]) -> Result<Place, Error> {
    let score = zset.and_then(|zset| zset.score(member));
    score.map(Place::of_score).ok_or(Error::Other("ERR could not decode requested zset member"))
}
