use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Wait")]
struct Wait {
    stamp: u64,
    time: std::time::Duration,
}

fn main() {}
