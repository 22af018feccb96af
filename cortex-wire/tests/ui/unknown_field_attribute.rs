use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Point")]
struct Point {
    #[cortex(rename = "y")]
    x: f64,
}

fn main() {}
