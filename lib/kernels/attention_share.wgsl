// The invocations of a subgroup, which is the workgroup, load one row each and hand it round (KEYS = its size): on
// software adapters a shuffle is an instruction, a storage load dozens.

fn hand(x: Chunk, lane: u32) -> Chunk { return subgroupShuffle(x, lane); }
fn hand_pair(x: vec2f, lane: u32) -> vec2f { return subgroupShuffle(x, lane); }

// Of a bound of this invocation and one that holds for its whole workgroup, the one that loops run to.
fn loop_bound(own: u32, widest: u32) -> u32 { return widest; }

