import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

/**
 * The two object files of a folder that Vitrine 0.1.0 (8b57d13) left behind, as they were: `empty`, and `models/é.json`
 * of the tenant `team-a`.
 */
const files: readonly { readonly name: string; readonly base64: string }[] = [
  {
    name: "bb505e5f87d323a731d016a7fc865c625ce60cda69ec88ee863efbeb61da42fb-h528h9vj7k",
    base64: [
      "eyJ0ZW5hbnQiOiIiLCJrZXkiOiJlbXB0eSIsInNpemVCeXRlcyI6MCwiY3JjMzIiOjAsInZlcnNpb24iOjE3NDA4MDAwMDAwMDAwMDAsImNy",
      "ZWF0ZWRNcyI6MTcwMDAwMDAwMDAwMCwiZXhwaXJlc01zIjowLCJjb250ZW50VHlwZSI6IiIsInNoYTI1NiI6IiJ9VlRSMZMAAAAAAAAAAAAA",
      "AAAAEAD44ZCwqi4qNg==",
    ].join(""),
  },
  {
    name: "cde1e23211fda4ac8221442198e29c6b1b1cfb3305813d7512071ac33e1d1ffb-h528h9vj7r",
    base64: [
      "eyJhIjoxfa+sG1Z7InRlbmFudCI6InRlYW0tYSIsImtleSI6Im1vZGVscy/DqS5qc29uIiwic2l6ZUJ5dGVzIjo3LCJjcmMzMiI6MTQ0NDY1",
      "NDI1NSwidmVyc2lvbiI6MTc0MDgwMDAwMDAwMDAwNywiY3JlYXRlZE1zIjoxNzAwMDAwMDAwMDAwLCJleHBpcmVzTXMiOjk5OTk5OTk5OTk5",
      "OTksImNvbnRlbnRUeXBlIjoiYXBwbGljYXRpb24vanNvbiIsInNoYTI1NiI6IkFWcTlmeEYxcGpxV2hVRmZ6bFZDU2RjdHI1UnFHdG1seFZ4",
      "SGFRY2pTdW89In1WVFIx8wAAAAcAAAAAAAAAAAAQABSDqJ2CJ21h",
    ].join(""),
  },
];

/** Its index, of schema version 2, in gzip. */
const index = [
  "H4sIAAAAAAACA+3cTW8bRRgH8NmN67XTOOZUK7WQBkVIsVIn3t34JUKlxM0mtTBO4jhJewBrvTtunPot3m3qRCBhEB+BA1IPiBNISMCdC4IL34Er",
  "6gcAwa1i1t5N4tiloqqEGv1/stfZZ2afecaey6xW2d7K12xGq61OQ7epSl4jokjeoZQQIvJ3gJwJ8rfv3Lng9vk3Iln44oeQc/HkL2T6ePp66KdQ",
  "MzQ99XiKXrV5CAAAAADgP+vFg1I0Fg188obdqd2/zzqtygEz7HKHNVpHzBycWbeL2kpJo6Vibn1dK9LhPnRlrcSDq1pe4302Cm6zRbPaeq4wSenO",
  "5qpztd2y9bpFt7XSaY+bp3/FqXyDVo5t5gQHn3HaqpsL1VqdlfuBtya1wmovFpCib/J6Xx+uVzfN51Tb7+HWmitsa8XSi9Y6P1rrPG2yRxdrPZGk",
  "yMyM0Nuw9UqdDVIOjgGvxJVs/nSwOS9/rlDSnMILGyVa2MnnvcFG4x1msY7zE1xsirX9UmQxKvRma02Tdd3MvLYy67ZrnWM3ILl15Aqr2l060uv8",
  "FzTXDzGr3LBidO+OVtToWYS+TRMfXPFH1Kjw0cUBjQ7T7Vqr6Yb8zxrS6zc0aD/ITGfQLZ8/EosKjYv5H1rMPbvyrNS8y1BWft5PuTfhj8xHhUcX",
  "Uzb1hpfT5+bcKeS2dsakdroO5XYCsfdFyam1N3Ex8wPmffUTz0nMew7ltVlTb9o3KI/HPvUJUiQaFT4r91eW28f9EIfW1un1fG3XztbJZjH33krx",
  "Hn1Xu3eDtwyS05J2t3S2unjcKSKb38gOBftTHul6tvZH1ylvtmonbGyD0TFUZWzLEetYznoYf5W3LiifbX6o7dyyHGkzWk0+V7tsH7fHzMHa15Vk",
  "ajTurpfhdJMxZ28uTn9Nwh/yAwAAAAAAAMD/fY9vSwyTmbnerCj4/JIUZ5LN9EZcb7RMVrcWf/5m4cBqNQ2TyUxRFVmumvqSbmQURV5aUuTlDFOW",
  "jVRFrshGtaKqiWRGVs10UlYSaVk3VJXJplytVuL7SSWzv3x0kO4I16Xd6LffEf/irc+/JFK2++PT3Y8JyX6VePz7radEb7frNaN/s2fRGXll93C5",
  "2l2T2weHe/s7a9WT+u7tbdOwO8ni4brdqHd3u3f0LeNg+2HrpperJwhhErrG5xQI8DmFQhJrtO3jSiWZSLJkNZM2VUXV06psJuSUnq4amVTSSClJ",
  "g6UShqmnlpmRyTCWSamsWmGVlMznrJyfxAPi1U+8MT3e+aSz/w//RsJ/8QMAAAAAAAAAvHJmfDNzwrjbJGLQF7oW7N9sGOz/yyT8PT8AAAAAAAAA",
  "wIvY9PVmhZf4VIK4wRMGX+ITAoP9/xMS/pMfAAAAAAAAAOBVNjUhCd4j/+LVCSk4/Pw/9v8AAAAAAAAAl33/L4T/IPwFAAAAAAAAAJfsXoD7bwzF",
  "UH///zfhLwAAAAAAAAC4XCTBJ4gBUfj1HxOjKK0AgAAA",
].join("");

/** Writes that folder, cleanly stopped, to an empty path. */
export function writeOldFolder(path: string): void {
  for (const { name, base64 } of files) {
    const folder = join(path, "objects", name.slice(0, 2));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, name), Buffer.from(base64, "base64"));
  }
  writeFileSync(join(path, "index.sqlite"), gunzipSync(Buffer.from(index, "base64")));
  writeFileSync(join(path, "state"), "clean");
}
