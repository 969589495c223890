// qr_load: p[j, i] = w[i, j] 2^−e_j, where the largest |w[i, j]| 2^−e_j of a column lies in [1, 2)
//                                                                        oracle: lib/reference/qr.ts
// Grid      one workgroup of 64 per column j < columns.
// Bindings  1 w f32 [m, n]   2 p f32 [columns, ld], rows of p beyond m are zero   3 exponent i32 [columns]
//           4 flag u32: 1 is or-ed in where a column holds NaN or infinity (read off the exponent bits)
struct Uniforms { m: u32, n: u32, ld: u32, columns: u32, at: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> p: array<f32>;
@group(0) @binding(3) var<storage, read_write> exponent: array<i32>;
@group(0) @binding(4) var<storage, read_write> flags: array<atomic<u32>>;

var<workgroup> largest: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let j = group.x + group.y * groups.x;
  if (j >= u.columns) { return; }
  // Magnitudes order as their bits do.
  var bits = 0u;
  for (var i = local; i < u.m; i += 64u) { bits = max(bits, bitcast<u32>(w[i * u.n + j]) & 0x7fffffffu); }
  largest[local] = bits;
  for (var step = 32u; step > 0u; step >>= 1u) {
    workgroupBarrier();
    if (local < step) { largest[local] = max(largest[local], largest[local + step]); }
  }
  workgroupBarrier();
  let power = i32(largest[0] >> 23u) - 127;
  if (local == 0u) {
    exponent[j] = select(power, 0, power == -127);
    if (power == 128) { atomicOr(&flags[u.at], 1u); }
  }
  // In two steps, as 2^127 is the largest power that f32 holds.
  let half_power = select(power / 2, 0, power == -127 || power == 128);
  let rest = select(power, 0, power == -127 || power == 128) - half_power;
  let first = bitcast<f32>(u32(127 - half_power) << 23u);
  let second = bitcast<f32>(u32(127 - rest) << 23u);
  for (var i = local; i < u.ld; i += 64u) {
    p[j * u.ld + i] = select(0.0, w[min(i, u.m - 1u) * u.n + j] * first * second, i < u.m);
  }
}
