"""The mutants: small wrong edits of the engine, each of which breaks a promise. run.py plants them one by one.

Each is (name, what it breaks, [(file, exactly this text, its replacement), ...]). The text must occur exactly once in its file: an
edit that no longer fits is an error to be mended here, not a mutant that survived.
"""

MUTANTS = [
    ("skip-leaf-check", "what an earlier run sent is not compared with what this one reads", [
        ("engine/pipeline/send_pipeline.cc",
         "  if (chain_->digest() != mark.digest)\n",
         "  if (false && chain_->digest() != mark.digest)\n"),
    ]),
    ("skip-every-digest", "neither marks nor the digest in FINAL are compared", [
        ("engine/pipeline/send_pipeline.cc",
         "  if (chain_->digest() != mark.digest)\n",
         "  if (false && chain_->digest() != mark.digest)\n"),
        ("engine/pipeline/receive_pipeline.cc",
         "  if (final.digest != chain_.digest())\n",
         "  if (false && final.digest != chain_.digest())\n"),
        ("engine/pipeline/receive_pipeline.cc",
         " || final.stream_bytes != chain_.stream_bytes())\n",
         ")\n"),
    ]),
    ("acknowledge-before-receiving", "the head that others have overtaken is acknowledged while it is on its way", [
        ("engine/pipeline/target.cc",
         "ack = {pipeline_->received(), ",
         "ack = {pipeline_->received() + (pipeline_->beyond().empty() ? 0 : 1), "),
    ]),
    ("reuse-nonce", "nonces begin anew every 64 frames, at both ends alike", [
        ("engine/seal/lane_cipher.cc",
         "  store(Bytes(nonce), 4, sequence);\n",
         "  store(Bytes(nonce), 4, sequence % 64);\n"),
    ]),
    ("drop-block-on-lane-death", "the last block on a lane that dies is not sent again", [
        ("engine/pipeline/flight.cc",
         "    homeless_.insert(number);\n",
         "    if (number + 1 != aboard_.rbegin()->first + 1) homeless_.insert(number);\n"),
    ]),
    ("success-on-cut", "a source whose link is lost after FINAL claims success", [
        ("engine/session/source_core.cc",
         "{S::kFinalSent, E::kLinkLost, S::kEnded, {A::kNoteUnknown, A::kFinish}}",
         "{S::kFinalSent, E::kLinkLost, S::kEnded, {A::kNoteSuccess, A::kFinish}}"),
    ]),
    ("end-before-final", "the stream's tail is delivered before FINAL came", [
        ("engine/pipeline/receive_pipeline.cc",
         "outlet_(std::move(destination), limits::kTailBytes,",
         "outlet_(std::move(destination), 0,"),
    ]),
    ("window-exceeds-pool", "more blocks are welcome than there are buffers", [
        ("engine/pipeline/target.cc",
         "std::max<std::size_t>(settings_.pool_buffers / 2 - 2, 2)",
         "settings_.pool_buffers + 2"),
    ]),
    ("two-consumers", "a later run of the source gets a consumer of its own", [
        ("engine/session/target_core.cc",
         "{S::kReceiving, E::kOpenAgain, S::kReceiving, {A::kSendOpened}}",
         "{S::kReceiving, E::kOpenAgain, S::kStarting, {A::kStartConsumer}}"),
    ]),
    ("keep-beyond-the-gap", "blocks of the earlier run that lie beyond the first gap stay when a later one takes over", [
        ("engine/pipeline/receive_pipeline.cc",
         "  queue_.truncate(received_);\n",
         ""),
    ]),
    ("no-fence", "a lane of a run that another has replaced may join", [
        ("engine/pipeline/link.cc",
         "  if (lane.join.incarnation != ticket_->incarnation())\n",
         "  if (false && lane.join.incarnation != ticket_->incarnation())\n"),
    ]),
    ("no-challenge", "a later run takes the session of one that lives", [
        ("engine/pipeline/target_opening.cc",
         "    if (link_.others_heard_since(asked, *asker))\n",
         "    if (false && link_.others_heard_since(asked, *asker))\n"),
    ]),
    ("final-once", "FINAL is not said again when the lane that it was on is lost", [
        ("engine/session/source_core.cc",
         "{S::kFinalSent, E::kLaneLost, S::kFinalSent, {A::kRaiseCredit, A::kSendFinal}}",
         "{S::kFinalSent, E::kLaneLost, S::kFinalSent, {A::kRaiseCredit}}"),
        ("engine/session/source_core.cc",
         "{S::kFinalSent, E::kLinkBack, S::kFinalSent, {A::kRaiseCredit, A::kSendFinal}}",
         "{S::kFinalSent, E::kLinkBack, S::kFinalSent, {A::kRaiseCredit}}"),
    ]),
    ("ack-once", "an ACK that was on a lost lane is not said again", [
        ("engine/session/target_core.cc",
         "rows.push_back({here, E::kLinkBack, here, {A::kRepeatAck}});",
         "rows.push_back({here, E::kLinkBack, here, {A::kSendAck}});"),
        ("engine/session/target_core.cc",
         "rows.push_back({S::kReceiving, E::kLaneLost, S::kReceiving, {A::kRepeatAck}});",
         "rows.push_back({S::kReceiving, E::kLaneLost, S::kReceiving, {A::kSendAck}});"),
    ]),
    ("forget-the-marker", "that an outcome is unknown is not written down", [
        ("engine/session/source_core.cc",
         "{S::kStreaming, E::kStreamWhole, S::kFinalSent, {A::kSaveMarker, A::kSendFinal}}",
         "{S::kStreaming, E::kStreamWhole, S::kFinalSent, {A::kSendFinal}}"),
    ]),
    ("success-without-record", "the target says that it has completed before that is on disk", [
        ("engine/pipeline/target.cc",
         "    *saved = state.save(name, bytes);\n",
         "    (void)state, (void)name, (void)bytes;\n"),
    ]),
    ("no-patience", "the target lets go as soon as the last lane is lost", [
        ("engine/pipeline/link.cc",
         "  if (patience_ <= Duration(0)) return give_up(std::move(why));\n",
         "  if (role_ == wire::Role::kTarget) return give_up(std::move(why));\n"),
    ]),
    ("final-again-unread", "a target that has completed answers every FINAL alike, whatever its digest", [
        ("engine/pipeline/target.cc",
         "      if (same_as_record(final)) return driver_.step(Event::kFinalAgain);\n",
         "      return driver_.step(Event::kFinalAgain);\n"),
    ]),
]
