"""Spellings of addresses the gateway must never connect to, by kind of disguise. All are hosts of an https URL.

The settings refuse ``BY_TEXT``, which the text alone gives away. ``BY_NAME`` looks like an ordinary name: it is checked
by the addresses it resolves to, at every connect.
"""

from __future__ import annotations

from collections.abc import Mapping

BY_TEXT: Mapping[str, tuple[str, ...]] = {
    "plain": (
        *("127.0.0.1", "127.8.9.10", "10.0.0.1", "10.255.255.254", "172.16.0.1", "172.31.255.254", "192.168.0.1"),
        *("192.168.255.254", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "168.63.129.16"),
        *("0.0.0.0", "0.1.2.3", "192.0.0.192", "192.0.2.7", "198.18.0.1", "198.51.100.7", "203.0.113.7", "224.0.0.1"),
        *("239.1.2.3", "240.0.0.1", "255.255.255.255", "192.88.99.1", "127.0.0.1:8443"),
    ),
    "trailing dot": ("127.0.0.1.", "169.254.169.254.", "10.0.0.1.", "2130706433.", "localhost.", "localhost.:8443"),
    "decimal": ("2130706433", "2852039166", "167772161", "3232235521", "0", "00000002130706433"),
    "octal": ("0177.0.0.1", "017700000001", "0251.0376.0251.0376", "0000177.0.0.01", "012.0.0.1", "0300.0250.0.1"),
    "hex": ("0x7f000001", "0x7f.0.0.1", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "0X7F.1", "0x0a.0.0.1", "0x7f.0.0x0.1"),
    "short": ("127.1", "127.0.1", "10.1", "192.168.257", "169.254.43518", "0x7f.1", "0177.1", "169.16689662"),
    "beyond a byte": ("127.0.0.257", "383.0.0.1", "4294967297", "127.0.0.1.1"),
    "loopback": ("[::1]", "[::1]:8443", "[::]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::0.0.0.1]"),
    "IPv4 mapped": (
        *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:127.0.0.1]", "[::ffff:169.254.169.254]"),
        *("[::ffff:a9fe:a9fe]", "[::ffff:10.0.0.1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:0:127.0.0.1]"),
    ),
    "IPv4 compatible": ("[::127.0.0.1]", "[::7f00:1]", "[::169.254.169.254]"),
    "NAT64": (
        *("[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::10.0.0.1]"),
        *("[64:ff9b:1::1]", "[64:ff9b:1:7f00:0:100::]"),
    ),
    "6to4": ("[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2002:a00:1::1]", "[2002:c0a8:1::1]"),
    "Teredo": ("[2001:0:7f00:1::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "[2001::a9fe:a9fe]"),
    "local IPv6": (
        *("[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[fd00::1]", "[ff02::1]", "[ff05::2]"),
        *("[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[100::1]", "[2001:10::1]", "[2001:20::1]", "[4000::1]"),
    ),
    "zone ids": (
        *("[fe80::1%25eth0]", "[fe80::1%eth0]", "[fe80::1%251]", "[::1%lo]", "[::1%25lo]"),
        *("[2606:4700::1111%25lo]", "[2606:4700::1111%1]"),
    ),
    "escapes": (
        *("%31%32%37.0.0.1", "127.0.0.%31", "127%2e0%2e0%2e1", "%6c%6f%63alhost", "localhost%00.public.example"),
        *("127.0.0.1%2f.public.example", "%5b::1%5d", "public.example%40127.0.0.1", "127.0.0.1%20"),
    ),
    "other digits": (
        *("１２７.0.0.1", "１２７．０．０．１", "127。0。0。1", "127．0．0．1", "①②⑦.⓪.⓪.①", "١٢٧.٠.٠.١", "0x７f.1"),
        *("ｌｏｃａｌｈｏｓｔ", "localhoſt", "ⅼocalhost", "local\u00adhost", "[：：1]", "[::ﬀﬀ:7f00:1]"),
    ),
    "blanks and controls": (
        *("127.0.0.1 ", " 127.0.0.1", "127.0.0.1\n", "127.0.0.1\t", "127.0.0.1\x00.public.example"),
        *("local\thost", "127.0.\r\n0.1"),
    ),
    "around the host": (
        *("public.example@127.0.0.1", "public.example:443@127.0.0.1", "@127.0.0.1", "127.0.0.1\\@public.example"),
        *("public.example\\@127.0.0.1", "127.0.0.1#@public.example", "public.example#@127.0.0.1"),
    ),
    "no host": ("", ":443", "[", "[::1", "::1", "[]", "[v1.fe80::a]", "[127.0.0.1]", "[localhost]"),
    "names of this machine": ("localhost", "LOCALHOST", "Localhost", "a.localhost", "a.b.LocalHost."),
}

BY_NAME: Mapping[str, tuple[str, ...]] = {
    "names of this machine": (
        *("localhost.localdomain", "ip6-localhost", "ip6-loopback", "broadcasthost", "localtest.me", "lvh.me"),
        *("127.0.0.1.nip.io", "7f000001.nip.io", "0.0.0.0.public.example"),
    ),
    "metadata": (
        *("metadata", "metadata.google.internal", "metadata.google.internal.", "instance-data.ec2.internal"),
        *("169.254.169.254.nip.io", "metadata.tencentyun.com", "host.docker.internal", "kubernetes.default.svc"),
    ),
    "looks like a number": ("127.0.0.1.public", "0x7f.example", "1.1.1.1.internal", "xn--p1ai", "127-0-0-1.example"),
}

SCHEMES = (
    *("http://127.0.0.1/", "HTTP://localhost/", "http://public.example/", "ftp://127.0.0.1/", "file:///etc/passwd"),
    *("gopher://127.0.0.1/", "unix:///run/docker.sock", "//127.0.0.1/", "https:127.0.0.1", "https:/127.0.0.1/"),
    *("https:///127.0.0.1/", "https:\\\\127.0.0.1\\", "javascript:fetch('//127.0.0.1')", "data:,x", "127.0.0.1/x"),
)
"""Whole addresses that are not an https URL at all."""

FORBIDDEN = (
    *("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "::1", "fe80::1", "fd00:ec2::254"),
    *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "2001:0:7f00:1::", "::127.0.0.1"),
)
"""What a name may resolve to."""

PUBLIC = ("8.8.8.8", "2606:4700::1111")
"""The only addresses that a connection may go to."""
