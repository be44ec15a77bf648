//! Places. What one request answers is in `oracle.txt`; here are RESP3 and searches anywhere on earth.

use crate::support::{Client, Peer, same_as_redis};

/// Numbers that look drawn, and are the same each time.
struct Numbers(u64);

impl Numbers {
    /// A number between the two.
    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        low + (self.0 >> 11) as f64 / (1_u64 << 53) as f64 * (high - low)
    }
}

/// Adds places all over the earth, most of them in groups; then searches around others. All replies.
fn searches(peer: Peer) -> Vec<(String, Vec<u8>)> {
    let server = peer.start();
    let mut client = server.client();
    let mut numbers = Numbers(7);
    let talk = |client: &mut Client, request: String| {
        client.send(format!("{request}\r\n"));
        let reply = client.read_raw();
        (request, reply)
    };
    for group in 0..12 {
        let (east, north) = (numbers.between(-179.0, 179.0), numbers.between(-84.0, 84.0));
        for at in 0..60 {
            let wide = [0.001, 0.1, 1.0][at % 3];
            let longitude = (east + numbers.between(-wide, wide)).clamp(-180.0, 180.0);
            let latitude = (north + numbers.between(-wide, wide)).clamp(-85.0, 85.0);
            client.call(&format!("GEOADD places {longitude} {latitude} p{group}-{at}"));
        }
    }
    let mut replies = Vec::new();
    for _ in 0..600 {
        let [group, at] = [12.0, 60.0].map(|end| numbers.between(0.0, end) as usize);
        let mut length = || 10_f64.powf(numbers.between(0.0, 6.5));
        let shape = match at % 3 {
            0 => format!("BYBOX {} {} m", length(), length()),
            _ => format!("BYRADIUS {} m", length()),
        };
        let from = match at % 2 {
            0 => format!("FROMMEMBER p{group}-{at}"),
            _ => format!("FROMLONLAT {} {}", numbers.between(-180.0, 180.0), numbers.between(-85.0, 85.0)),
        };
        let end = ["ASC", "DESC COUNT 20", "COUNT 3"][at % 3];
        replies.push(talk(&mut client, format!("GEOSEARCH places {from} {shape} {end} WITHDIST WITHCOORD")));
        let other = (group + at) % 60;
        replies.push(talk(&mut client, format!("GEODIST places p{group}-{at} p{}-{other} ft", other % 12)));
    }
    replies
}

#[test]
fn searches_find_what_redis_finds() {
    let found = searches(Peer::Sharded);
    let lengths = found.iter().map(|(_, reply)| reply.len());
    assert!(lengths.sum::<usize>() > 100_000, "most searches find something");
    if !Peer::has_redis() {
        return;
    }
    for ((request, found), (_, expected)) in found.iter().zip(searches(Peer::Redis)) {
        assert!(
            *found == expected,
            "{request}\nexpected {}\n   found {}",
            expected.escape_ascii(),
            found.escape_ascii()
        );
    }
}

same_as_redis! {
    fn resp3_has_doubles_for_places_and_strings_for_distances(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.call("HELLO 3");
        client.check("GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2\r\n");
        client.check(
            "GEOPOS Sicily Palermo nobody",
            "*2\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n_\r\n",
        );
        client.check("GEOHASH Sicily Palermo nobody", "*2\r\n$11\r\nsqc8b49rny0\r\n_\r\n");
        client.check("GEODIST Sicily Palermo Catania", "$11\r\n166274.1516\r\n");
        client.check("GEODIST Sicily Palermo nobody", "_\r\n");
        client.check(
            "GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1 km WITHDIST WITHHASH WITHCOORD",
            "*1\r\n*4\r\n$7\r\nPalermo\r\n$6\r\n0.0000\r\n:3479099956230698\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n",
        );
        client.check("GEOSEARCHSTORE near Sicily FROMMEMBER Palermo BYRADIUS 200 km STOREDIST", ":2\r\n");
        client.check("ZSCORE near Palermo", ",0\r\n");
    }

    fn a_search_of_the_whole_earth_finds_everything_once(peer) {
        let server = peer.start();
        let mut client = server.client();
        let places: Vec<String> =
            (0..1000).map(|i| format!("{} {} m{i}", f64::from(i * 37 % 360) - 180.0, f64::from(i % 170) - 85.0)).collect();
        client.call(&format!("GEOADD all {}", places.join(" ")));
        for shape in ["BYRADIUS 30000 km", "BYBOX 80000 80000 km"] {
            assert_eq!(client.call(&format!("GEOSEARCH all FROMLONLAT 10 20 {shape}")).items().len(), 1000);
            let some = client.call(&format!("GEOSEARCH all FROMLONLAT 10 20 {shape} COUNT 10 ANY"));
            assert_eq!(some.items().len(), 10);
        }
        client.check("GEOSEARCHSTORE copy all FROMLONLAT 10 20 BYRADIUS 30000 km", ":1000\r\n");
        client.check("ZDIFFSTORE rest 2 all copy", ":0\r\n");
    }
}
