use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Point")]
struct Point {
    #[cortex(default)]
    x: f64,
    y: f64,
}

fn main() {}
