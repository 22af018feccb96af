use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Point")]
struct Point {
    #[cortex(default = "zero")]
    x: f64,
}

fn main() {}
