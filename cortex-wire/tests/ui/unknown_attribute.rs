use cortex_wire::Message;

#[derive(Message)]
#[cortex(klass = "robot.msgs.Point")]
struct Point {
    x: f64,
}

fn main() {}
