// dropout: y[i] = x[i] / (1 − p) where the generator's word at counter i is at least p 2³², else 0
//                                                                        oracle: lib/reference/dropout.ts
// Grid      one invocation per element, 64 a workgroup.
// Bindings  1 x f32 [n]   2 y f32 [n]
struct Uniforms { n: u32, key0: u32, key1: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn mix(state: vec2u, turn: u32) -> vec2u {
  let sum = state.x + state.y;
  return vec2u(sum, ((state.y << turn) | (state.y >> (32u - turn))) ^ sum);
}

fn four(state: vec2u, a: u32, b: u32, c: u32, d: u32) -> vec2u {
  return mix(mix(mix(mix(state, a), b), c), d);
}

// Threefry-2x32, 20 rounds, as core/rng.ts
fn threefry(k0: u32, k1: u32, counter: u32) -> u32 {
  let k2 = 0x1bd11bdau ^ k0 ^ k1;
  var s = vec2u(counter + k0, k1);
  s = four(s, 13u, 15u, 26u, 6u) + vec2u(k1, k2 + 1u);
  s = four(s, 17u, 29u, 16u, 24u) + vec2u(k2, k0 + 2u);
  s = four(s, 13u, 15u, 26u, 6u) + vec2u(k0, k1 + 3u);
  s = four(s, 17u, 29u, 16u, 24u) + vec2u(k1, k2 + 4u);
  s = four(s, 13u, 15u, 26u, 6u) + vec2u(k2, k0 + 5u);
  return s.x;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * 64u + local;
  if (i >= u.n) { return; }
  y[i] = select(0.0, x[i] * u.scale, threefry(u.key0, u.key1, i) >= u.threshold);
}
