// embedding: x[i] = table[ids[i]], widened to f32      oracle: lib/reference/embedding.ts
//
// Grid      one element of x an invocation, 64 a workgroup.
// Bindings  1 ids u32 [n]   2 table [v, d] of f32, f16 or bf16 (two to a word)   3 x f32 [n, d]
// Consts    FORMAT  0 f32, 1 f16, 2 bf16 (prepended by kernel.ts)
// An id past the table gives a row of NaN: a clamped one would go unseen.
struct Uniforms { n: u32, d: u32, v: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;

fn element(at: u32) -> f32 {
  if (FORMAT == 0) { return bitcast<f32>(table[at]); }
  let word = table[at >> 1u];
  if (FORMAT == 1) {
    let pair = unpack2x16float(word);
    return select(pair.x, pair.y, (at & 1u) == 1u);
  }
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (at & 1u) == 1u));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.x + group.y * groups.x) * 64u + lane;
  if (i >= u.n * u.d) { return; }
  let row = i / u.d;
  let id = ids[row];
  if (id < u.v) {
    x[i] = element(id * u.d + (i - row * u.d));
  } else {
    x[i] = bitcast<f32>(id | 0x7fc00000u);
  }
}
