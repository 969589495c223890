// magnitude_gradient: part[c, k] = Σ dy z / norm[k] over the rows of chunk c      oracle: lib/reference/magnitude.ts
//
// Grid      (⌈d / 64⌉, chunks, 1); one invocation a column of a chunk.
// Bindings  1 z f32 [n, d]   2 norm f32 [d]   3 dy f32 [n, d]   4 part f32 [chunks, d]
// Where norm = 0 the sum is 0, and so is the part.
struct Uniforms { n: u32, d: u32, rows: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> part: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= u.d) { return; }
  var sum = 0.0;
  for (var row = id.y * u.rows; row < min(u.n, (id.y + 1u) * u.rows); row++) {
    sum += dy[row * u.d + id.x] * z[row * u.d + id.x];
  }
  if (norm[id.x] != 0.0) { sum /= norm[id.x]; }
  part[id.y * u.d + id.x] = sum;
}
