use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = Point)]
struct Point {
    x: f64,
}

fn main() {}
