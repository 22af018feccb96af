use cortex_wire::Message;

#[derive(Message)]
struct Point {
    x: f64,
}

fn main() {}
