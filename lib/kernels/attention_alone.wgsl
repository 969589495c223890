// Each invocation loads every row that it meets by itself (KEYS = 1).

fn hand(x: Chunk, lane: u32) -> Chunk { return x; }
fn hand_pair(x: vec2f, lane: u32) -> vec2f { return x; }

// Of a bound of this invocation and one that holds for its whole workgroup, the one that loops run to.
fn loop_bound(own: u32, widest: u32) -> u32 { return own; }

