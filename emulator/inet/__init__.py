"""IP packets as bytes: addresses, headers, checksums, segments of super-segments, ICMP errors.

Compiled kernels on arrays of octets and nothing else: no descriptors, no clock, no network. A *frame* is
what a TUN device gives in one read: ten octets of virtio header, then an IP packet, perhaps a super-segment
that stands for many packets. Everywhere `at` is where the IP packet begins in its array; the virtio header
stands in the ten octets before it.
"""
