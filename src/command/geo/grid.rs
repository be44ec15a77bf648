//! Places on earth as scores of a sorted set: a geohash of 52 bits, in the projection that maps use.
//!
//! ```text
//! cell   `step` bits of longitude and `step` of latitude, interleaved, longitude first
//! score  the cell of step 26 that the place is in
//! ```
//!
//! All places in a cell are neighbours in order, so that a search looks at the cell around its centre and at the eight
//! around that. The order of operations is Redis', because the last digits of a distance depend on it.

/// The highest latitude either way; there a map becomes a square.
const LATITUDE_MAX: f64 = 85.051_128_78;
const LONGITUDE_MAX: f64 = 180.0;

/// Bits of each coordinate in a score.
const STEP_MAX: u32 = 26;

/// Metres. The quadratic mean for WGS 84.
const EARTH_RADIUS: f64 = 6_372_797.560_856;

/// Metres from the middle of a map to its edge.
const MAP_MAX: f64 = 20_037_726.37;

const RADIANS: f64 = std::f64::consts::PI / 180.0;

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub longitude: f64,
    pub latitude: f64,
}

/// A part of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    bits: u64,
    step: u32,
}

/// From west to east and from south to north, in degrees.
#[derive(Clone, Copy, Debug)]
struct Area {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

const MAP: Area = Area { longitude: (-LONGITUDE_MAX, LONGITUDE_MAX), latitude: (-LATITUDE_MAX, LATITUDE_MAX) };

impl Place {
    /// Whether it is on the map.
    pub fn is_valid(self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }

    pub fn score(self) -> f64 {
        Cell::around(self, STEP_MAX, &MAP).bits as f64
    }

    /// The middle of the cell that a score stands for. Any number is a score.
    pub fn of_score(score: f64) -> Self {
        let area = Cell { bits: whole(score), step: STEP_MAX }.area();
        let middle = |(low, high): (f64, f64), max: f64| ((low + high) / 2.0).clamp(-max, max);
        Self { longitude: middle(area.longitude, LONGITUDE_MAX), latitude: middle(area.latitude, LATITUDE_MAX) }
    }

    /// The geohash that others write: 11 letters, of which the last one is always zero, since there are 52 bits.
    pub fn geohash(self) -> [u8; 11] {
        const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        // They use the whole range of latitudes.
        let area = Area { latitude: (-90.0, 90.0), ..MAP };
        let bits = Cell::around(self, STEP_MAX, &area).bits;
        std::array::from_fn(|at| match 47_usize.checked_sub(5 * at) {
            Some(shift) => LETTERS[(bits >> shift & 31) as usize],
            None => LETTERS[0],
        })
    }

    /// Metres along a great circle.
    pub fn distance(self, other: Self) -> f64 {
        let across = ((other.longitude * RADIANS - self.longitude * RADIANS) / 2.0).sin();
        if across == 0.0 {
            return self.distance_north(other);
        }
        let (from, to) = (self.latitude * RADIANS, other.latitude * RADIANS);
        let along = ((to - from) / 2.0).sin();
        let chord = along * along + from.cos() * to.cos() * across * across;
        // Opposite places may be further apart than the earth is wide, by an error of rounding.
        2.0 * EARTH_RADIUS * chord.sqrt().min(1.0).asin()
    }

    /// Metres from one latitude to the other.
    fn distance_north(self, other: Self) -> f64 {
        EARTH_RADIUS * (other.latitude * RADIANS - self.latitude * RADIANS).abs()
    }
}

impl Cell {
    fn around(place: Place, step: u32, area: &Area) -> Self {
        let part = |at: f64, (low, high): (f64, f64)| ((at - low) / (high - low) * (1_u64 << step) as f64) as u32;
        Self::of_parts(part(place.longitude, area.longitude), part(place.latitude, area.latitude), step)
    }

    /// The cell in a column and a row, counted from the south-west.
    fn of_parts(column: u32, row: u32, step: u32) -> Self {
        Self { bits: spread(column) << 1 | spread(row), step }
    }

    fn parts(self) -> (u32, u32) {
        (gather(self.bits >> 1), gather(self.bits))
    }

    fn area(self) -> Area {
        let (column, row) = self.parts();
        let scale = (1_u64 << self.step) as f64;
        let edges = |part: u32, (low, high): (f64, f64)| {
            let edge = |part: u32| low + f64::from(part) / scale * (high - low);
            (edge(part), edge(part.wrapping_add(1)))
        };
        Area { longitude: edges(column, MAP.longitude), latitude: edges(row, MAP.latitude) }
    }

    /// The cell some columns east and rows north. The map has no edges.
    fn moved(self, east: i32, north: i32) -> Self {
        let (column, row) = self.parts();
        let mask = ((1_u64 << self.step) - 1) as u32;
        let moved = |part: u32, by: i32| if by == 0 { part } else { part.wrapping_add_signed(by) & mask };
        Self::of_parts(moved(column, east), moved(row, north), self.step)
    }

    /// The scores of the places in it: from the first one to below the second one.
    fn scores(self) -> (f64, f64) {
        let shift = 2 * (STEP_MAX - self.step);
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }
}

/// A score as an integer. C leaves open what becomes of those below 0 and of very large ones; this is what Redis'
/// machine code does on x86-64.
fn whole(score: f64) -> u64 {
    const HALF: f64 = (1_u64 << 63) as f64;
    match score {
        ..0.0 if score < -HALF => 1 << 63,
        ..0.0 => score as i64 as u64,
        _ if score < 2.0 * HALF => score as u64,
        _ => 0,
    }
}

/// Puts a zero before each bit.
fn spread(part: u32) -> u64 {
    const MASKS: [(u32, u64); 5] = [
        (16, 0x0000_FFFF_0000_FFFF),
        (8, 0x00FF_00FF_00FF_00FF),
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ];
    MASKS.into_iter().fold(u64::from(part), |bits, (shift, mask)| (bits | bits << shift) & mask)
}

/// Takes every second bit, from the lowest on.
fn gather(bits: u64) -> u32 {
    const MASKS: [(u32, u64); 5] = [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0F0F_0F0F_0F0F_0F0F),
        (4, 0x00FF_00FF_00FF_00FF),
        (8, 0x0000_FFFF_0000_FFFF),
        (16, 0x0000_0000_FFFF_FFFF),
    ];
    MASKS.into_iter().fold(bits & 0x5555_5555_5555_5555, |bits, (shift, mask)| (bits | bits >> shift) & mask) as u32
}

/// What is searched, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

impl Shape {
    /// How far a place is from the centre; None when it is outside.
    pub fn distance(self, centre: Place, place: Place) -> Option<f64> {
        match self {
            Self::Circle { radius } => Some(centre.distance(place)).filter(|distance| *distance <= radius),
            Self::Box { width, height } => {
                if place.distance_north(centre) > height / 2.0 {
                    return None;
                }
                let same_row = Place { latitude: place.latitude, ..centre };
                (place.distance(same_row) <= width / 2.0).then(|| centre.distance(place))
            }
        }
    }

    /// The ranges of scores, with upper bounds that are not in them, which cover the shape around a centre.
    pub fn ranges(self, centre: Place) -> Vec<(f64, f64)> {
        let bounds = self.bounds(centre);
        let mut step = self.step(centre);
        let mut cell = Cell::around(centre, step, &MAP);
        if step > 1 && !is_covered(cell, &bounds) {
            step -= 1;
            cell = Cell::around(centre, step, &MAP);
        }
        let area = cell.area();
        // Sides that the shape does not reach. At the first step the other side is the same cell.
        let is_fine = step >= 2;
        let south = !(is_fine && area.latitude.0 < bounds.latitude.0);
        let north = !(is_fine && area.latitude.1 > bounds.latitude.1);
        let west = !(is_fine && area.longitude.0 < bounds.longitude.0);
        let east = !(is_fine && area.longitude.1 > bounds.longitude.1);
        let around = [
            (true, 0, 0),
            (north, 0, 1),
            (south, 0, -1),
            (east, 1, 0),
            (west, -1, 0),
            (north && east, 1, 1),
            (north && west, -1, 1),
            (south && east, 1, -1),
            (south && west, -1, -1),
        ];
        let mut cells = Vec::with_capacity(around.len());
        for (_, east, north) in around.into_iter().filter(|(is_wanted, ..)| *is_wanted) {
            let neighbour = cell.moved(east, north);
            // On a coarse grid a neighbour on either side is the same one.
            if !cells.contains(&neighbour) {
                cells.push(neighbour);
            }
        }
        cells.into_iter().map(Cell::scores).collect()
    }

    /// An area that holds the shape.
    fn bounds(self, centre: Place) -> Area {
        let (width, height) = match self {
            Self::Circle { radius } => (radius, radius),
            Self::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let north = height / EARTH_RADIUS / RADIANS;
        // Degrees are narrower towards the poles: the edge that is nearer to one counts.
        let widest = if centre.latitude < 0.0 { centre.latitude - north } else { centre.latitude + north };
        let east = width / EARTH_RADIUS / (widest * RADIANS).cos() / RADIANS;
        Area {
            longitude: (centre.longitude - east, centre.longitude + east),
            latitude: (centre.latitude - north, centre.latitude + north),
        }
    }

    /// How fine the cells may be so that nine of them hold the shape, in most cases.
    fn step(self, centre: Place) -> u32 {
        let mut reach = match self {
            Self::Circle { radius } => radius,
            Self::Box { width, height } => ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt(),
        };
        if reach == 0.0 {
            return STEP_MAX;
        }
        let mut step = -1_i32;
        while reach < MAP_MAX {
            reach *= 2.0;
            step += 1;
        }
        // Cells are narrower towards the poles.
        step -= i32::from(centre.latitude.abs() > 66.0) + i32::from(centre.latitude.abs() > 80.0);
        step.clamp(1, STEP_MAX as i32) as u32
    }
}

/// Whether a cell and its neighbours reach as far as the bounds.
fn is_covered(cell: Cell, bounds: &Area) -> bool {
    !(cell.moved(0, 1).area().latitude.1 < bounds.latitude.1
        || cell.moved(0, -1).area().latitude.0 > bounds.latitude.0
        || cell.moved(1, 0).area().longitude.1 < bounds.longitude.1
        || cell.moved(-1, 0).area().longitude.0 > bounds.longitude.0)
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = Place> {
        let coordinates = (-LONGITUDE_MAX..=LONGITUDE_MAX, -LATITUDE_MAX..=LATITUDE_MAX);
        coordinates.prop_map(|(longitude, latitude)| Place { longitude, latitude })
    }

    fn shape() -> impl Strategy<Value = Shape> {
        let length = prop_oneof![Just(0.0), 0.0..100.0, 0.0..100_000.0, 0.0..3_000_000.0];
        prop_oneof![
            length.clone().prop_map(|radius| Shape::Circle { radius }),
            (length.clone(), length).prop_map(|(width, height)| Shape::Box { width, height }),
        ]
    }

    proptest! {
        #[test]
        fn a_score_is_the_place_to_within_a_metre(place in place()) {
            let found = Place::of_score(place.score());
            prop_assert!(found.distance(place) < 1.0 && found.is_valid());
            prop_assert_eq!(found.score(), place.score());
        }

        #[test]
        fn any_number_is_a_place(bits: u64) {
            prop_assert!(Place::of_score(f64::from_bits(bits)).is_valid());
        }

        #[test]
        fn the_ranges_cover_a_shape_that_does_not_cross_an_edge(
            centre in place(), shape in shape(), places in prop::collection::vec((-1.0..1.0, -1.0..1.0), 50)
        ) {
            let bounds = shape.bounds(centre);
            let ranges = shape.ranges(centre);
            prop_assert!(ranges.iter().all(|(from, to)| from < to));
            let holds = |score: f64| ranges.iter().filter(|(from, to)| (*from..*to).contains(&score)).count();
            for (east, north) in places {
                let longitude = centre.longitude + east * (bounds.longitude.1 - centre.longitude);
                let latitude = centre.latitude + north * (bounds.latitude.1 - centre.latitude);
                let place = Place { longitude, latitude };
                if place.is_valid() && centre.latitude.abs() < 60.0 && shape.distance(centre, place).is_some() {
                    prop_assert_eq!(holds(place.score()), 1, "{:?} {:?}", place, ranges);
                }
            }
        }
    }

    #[test]
    fn the_corners_of_the_map_are_on_it() {
        for (longitude, latitude) in [(180.0, 85.051_128_78), (-180.0, -85.051_128_78), (180.0, -85.0), (0.0, 0.0)] {
            let place = Place { longitude, latitude };
            assert!(place.is_valid() && Place::of_score(place.score()).is_valid());
        }
        assert!(!Place { longitude: 180.1, latitude: 0.0 }.is_valid());
        assert!(!Place { longitude: 0.0, latitude: f64::INFINITY }.is_valid());
    }

    #[test]
    fn palermo() {
        let palermo = Place { longitude: 13.361_389, latitude: 38.115_556 };
        let catania = Place { longitude: 15.087_269, latitude: 37.502_669 };
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
        assert_eq!(&Place::of_score(palermo.score()).geohash(), b"sqc8b49rny0");
        assert_eq!(format!("{:.0}", palermo.distance(catania)), "166274");
    }
}
