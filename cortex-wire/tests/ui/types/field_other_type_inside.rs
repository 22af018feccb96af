use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Wait")]
struct Wait {
    times: Option<[std::time::Duration; 2]>,
}

fn main() {}
