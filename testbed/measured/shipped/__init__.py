"""Measurements that come with the testbed, made by itself over links whose truth is published beside them."""
