// rotary: y₁ = x₁ cos − s x₂ sin, y₂ = x₂ cos + s x₁ sin; channels i and i + c/2 of a head are a pair, s = ±1.
// oracle: lib/reference/rotary.ts
//
// Grid      one pair of Values an invocation, 64 a workgroup.
// Bindings  1 x f32 [b, t, h, c]   2 table f32 [positions, c], cosines then sines   3 y f32 [b, t, h, c]
// Alias     Value is vec4f where half a head is a multiple of 4, else f32 (prepended by rotary.ts); `half` counts Values.
struct Uniforms { pairs: u32, t: u32, h: u32, half: u32, start: u32, direction: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read> table: array<Value>;
@group(0) @binding(3) var<storage, read_write> y: array<Value>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let pair = (group.x + group.y * groups.x) * 64u + lane;
  if (pair >= u.pairs) { return; }
  let head = pair / u.half;
  let i = pair - head * u.half;
  let first = head * 2u * u.half + i;
  let angle = (u.start + head / u.h % u.t) * 2u * u.half + i;
  let cosine = table[angle];
  let sine = u.direction * table[angle + u.half];
  let a = x[first];
  let b = x[first + u.half];
  y[first] = a * cosine - b * sine;
  y[first + u.half] = b * cosine + a * sine;
}
