use std::net::SocketAddr;

use super::*;

fn connected(peer: &str, local: &str) -> Connected {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    Connected {
        peer: address(peer),
        local: address(local),
        encrypted: false,
    }
}

#[test]
fn nobody_takes_the_places_of_everybody_else() {
    let (here, pod) = ("127.0.0.1:9192", "10.0.0.1:9192");
    for (what, places, peer, local, most) in [
        ("another host", Places::for_operators(), "10.0.0.7:1", pod, OF_ONE),
        (
            "the same in the form of IPv6",
            Places::for_operators(),
            "[::ffff:10.0.0.7]:1",
            pod,
            OF_ONE,
        ),
        ("a sidecar", Places::for_operators(), "127.0.0.6:1", pod, OF_ONE),
        (
            "this host",
            Places::for_operators(),
            "127.0.0.1:1",
            here,
            CONNECTIONS,
        ),
        (
            "a proxy of clients",
            Places::for_clients(),
            "10.0.0.7:1",
            pod,
            CONNECTIONS,
        ),
    ] {
        let taken: Vec<Place> = (0..2 * CONNECTIONS)
            .map_while(|_| places.place(&connected(peer, local)))
            .collect();
        assert_eq!(taken.len(), most, "{what}");
        let kubelet = places.place(&connected("10.0.0.8:1", pod));
        assert_eq!(kubelet.is_some(), most == OF_ONE || local == here, "{what}");
        let operator = places.place(&connected("127.0.0.1:2", here));
        assert_eq!(operator.is_some(), local != here, "{what}");
        drop((taken, kubelet, operator));
        assert!(
            places.open.lock().expect("counts").is_empty(),
            "{what}: it is remembered"
        );
        assert!(
            places.place(&connected(peer, local)).is_some(),
            "{what}: it comes again"
        );
    }
}
