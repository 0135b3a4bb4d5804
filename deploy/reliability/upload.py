"""How fast uploads come in, beside nginx: both store the same body on the same disk, by turns.

nginx takes it by PUT (its WebDAV module: a temporary file, then a rename). Hepar takes it twice: refused after it was stored, as
its content is no scan (storing alone), and accepted (POST /v1/scans reads each byte once more and judges it). curl sends,
on the same machine, so that its share of the cores is in all figures.

    HEPAR=.build/release/hepar python3 deploy/reliability/upload.py            # needs nginx: apt-get install nginx-light
    MIB=4096 ROUNDS=9 HEPAR=... python3 deploy/reliability/upload.py
"""
import os
import shutil
import statistics
import subprocess
import time

from common import Checks, Server

MIB, ROUNDS = int(os.environ.get("MIB", 1024)), int(os.environ.get("ROUNDS", 5))
NGINX_PORT = 18099

CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes auto;
events {{ worker_connections 64; }}
http {{
    access_log off; client_max_body_size 0;
    client_body_temp_path {folder}/incoming; proxy_temp_path {folder}/t1; fastcgi_temp_path {folder}/t2;
    uwsgi_temp_path {folder}/t3; scgi_temp_path {folder}/t4;
    server {{ listen 127.0.0.1:{port}; location / {{ root {folder}/stored; dav_methods PUT; }} }}
}}
"""


def write_bodies(folder):
    """A NIfTI volume of int16 noise, and the same bytes without its first."""
    slices = MIB * (1 << 20) // (512 * 512 * 2)
    scan, other = os.path.join(folder, "scan.nii"), os.path.join(folder, "other.bin")
    small = os.path.join(folder, "small.nii")
    subprocess.run([os.environ.get("HEPAR", ".build/release/hepar"), "phantom", "--seed", "1", "--shape", "64,64,16",
                    "--output", small, "--reference", os.path.join(folder, "reference.nii")], check=True)
    with open(small, "rb") as file:
        header = bytearray(file.read(352))
    for axis, length in enumerate((512, 512, slices)):
        header[42 + 2 * axis:44 + 2 * axis] = length.to_bytes(2, "little")
    noise = bytearray(os.urandom(1 << 20))
    noise[1::2] = bytes(byte & 3 for byte in noise[1::2])  # 0 to 1023 HU
    with open(scan, "wb") as file, open(other, "wb") as copy:
        copy.write(b"x")
        for target in (file, copy):
            target.write(header)
            for _ in range(slices // 2):
                target.write(noise)
    return scan, other


def seconds(url, file, method, expected):
    begin = time.monotonic()
    status = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, "-T", file, "-H",
                             "Expect:", "-H", "Content-Type: application/octet-stream", url],
                            check=True, capture_output=True, text=True).stdout
    if status not in expected:
        raise SystemExit(f"{url} answered {status}")
    return time.monotonic() - begin


def main():
    checks = Checks("upload")
    for name in ("stored", "incoming"):
        os.mkdir(os.path.join(checks.folder, name))
    os.chmod(checks.folder, 0o755)
    for name in ("stored", "incoming"):
        os.chmod(os.path.join(checks.folder, name), 0o777)
    with open(os.path.join(checks.folder, "nginx.conf"), "w") as file:
        file.write(CONFIGURATION.format(folder=checks.folder, port=NGINX_PORT))
    scan, other = write_bodies(checks.folder)
    nginx = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", os.path.join(checks.folder, "nginx.conf")])
    server = Server(checks.folder, data_free_space_mib=1)
    try:
        server.start()
        time.sleep(0.5)
        stored = f"http://127.0.0.1:{NGINX_PORT}/body"
        judged = f"http://127.0.0.1:{server.port}/v1/scans"
        times = {"nginx": [], "hepar_stores": [], "hepar_stores_and_judges": []}
        for _ in range(ROUNDS):
            times["nginx"].append(seconds(stored, scan, "PUT", ("201", "204")))
            times["hepar_stores"].append(seconds(judged, other, "POST", ("422",)))
            times["hepar_stores_and_judges"].append(seconds(judged, scan, "POST", ("200",)))
        checks.expect(True, "all uploads came in")
    finally:
        server.kill(15)
        nginx.terminate()
        nginx.wait()
    medians = {name: statistics.median(values) for name, values in times.items()}
    checks.close(mib=MIB, rounds=ROUNDS, mib_per_second={name: round(MIB / value) for name, value in medians.items()},
                 share_of_nginx={name: round(medians["nginx"] / value, 2) for name, value in medians.items()})


if __name__ == "__main__":
    main()
