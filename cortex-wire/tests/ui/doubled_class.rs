use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Point", class = "robot.msgs.Vector")]
struct Point {
    x: f64,
}

fn main() {}
