"""Commands that run by themselves over scored calls: the weekly export, the nightly compaction, the watch over agreement."""
