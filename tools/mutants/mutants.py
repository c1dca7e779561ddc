"""The mutants: small wrong edits of the engine, each of which breaks a promise. run.py plants them one by one. Those of MUTANTS are looked
for in transfers without a store (Transfer.*), those of STORE_MUTANTS in crash journeys (Crashes.*).

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
         "  if (final.digest != at_.chain.digest())\n",
         "  if (false && final.digest != at_.chain.digest())\n"),
        ("engine/pipeline/receive_pipeline.cc",
         " || final.stream_bytes != at_.chain.stream_bytes())\n",
         ")\n"),
    ]),
    ("acknowledge-before-receiving", "the head that others have overtaken is acknowledged while it is on its way", [
        ("engine/pipeline/intake.cc",
         "ack = {pipeline_->received(), ",
         "ack = {pipeline_->received() + (pipeline_->beyond().empty() ? 0 : 1), "),
    ]),
    ("reuse-nonce", "nonces begin anew every 64 frames, at both ends alike", [
        ("engine/seal/lane_cipher.cc",
         "return frame_nonce(sequence_);",
         "return frame_nonce(sequence_ % 64);"),
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
        ("engine/pipeline/intake.h",
         "return {settings_.window_blocks, settings_.window_bytes}",
         "return {settings_.window_blocks + 4, settings_.window_bytes}"),
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
         "  if (lane.join.incarnation == ticket_->incarnation()) return",
         "  if (lane.join.incarnation == ticket_->incarnation() || role_ == wire::Role::kTarget) return"),
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

STORE_MUTANTS = [
    # What is told to be durable.
    ("durable-at-write", "a block is told to be durable once it is written, before its commit", [
        ("engine/pipeline/spool.cc",
         "    written_.add(shared->header.number);\n",
         "    written_.add(shared->header.number), durable_.add(shared->header.number);\n"),
    ]),
    ("segment-unsynced", "the segment that is written to is not synced before the journal names its blocks", [
        ("engine/store/session_commit.cc",
         "    if (Status status = segment->file.sync(); !status) return status;\n",
         ""),
    ]),
    ("closed-segment-unsynced", "a segment that was closed since the last commit is not synced", [
        ("engine/store/session_commit.cc",
         "    if (Status status = file.sync(); !status) return status;\n  unsynced.clear();\n",
         "    (void)file;\n  unsynced.clear();\n"),
    ]),
    ("journal-unsynced", "a commit that is appended to the journal is not synced", [
        ("engine/store/journal_writer.cc",
         "  return file_.sync();\n",
         "  return commit_ > 2 ? Status() : file_.sync();\n"),
    ]),
    ("new-journal-unsynced", "a journal takes the place of the one before it unsynced", [
        ("engine/store/journal_writer.cc",
         "  return file_.sync();\n",
         "  return commit_ == 2 ? Status() : file_.sync();\n"),
    ]),
    ("segment-name-unsynced", "the folder is not synced after a segment was made", [
        ("engine/store/session_commit.cc",
         "  if (!folder_synced)\n    if (Status status = store.folder.sync(); !status) return status;\n",
         ""),
    ]),
    ("journal-name-unsynced", "the folder is not synced after a journal took the place of the one before it", [
        ("engine/store/journal_writer.cc",
         "  return folder_->sync();\n",
         "  return {};\n"),
    ]),

    # What is removed, and when.
    ("segments-before-journal", "segments are removed before the journal that makes them needless is on disk", [
        ("engine/store/session_commit.cc",
         "  Status status = sync_segments();\n",
         "  Status status = sync_segments();\n  if (status) status = remove_dead_segments();\n"),
    ]),
    ("resume-removes-first", "segments go by the word of a journal that was read, and may never have been synced", [
        ("engine/store/store.cc",
         "  if (Status status = session->take_over(); !status) return status.take_error();\n",
         ""),
    ]),
    ("session-removed-unsynced", "the segments of a session are removed before the removal of its journal is on disk", [
        ("engine/store/store.cc",
         "  if (Status status = state_->folder.sync(); !status) return state_->over(status.take_error());\n",
         ""),
    ]),
    ("unpin-at-delivery", "what was delivered to the consumer is let go of, whatever ZFS's token says", [
        ("engine/pipeline/stream_state.cc",
         "places_.front().context.lies_before(token)",
         "(true || places_.front().context.lies_before(token))"),
        ("engine/pipeline/intake_applied.cc",
         "applied(*counts, spool_->durable())",
         "applied(*counts, std::min(spool_->durable(), pipeline_->delivered()))"),
    ]),
    ("token-at-sight", "a token counts as soon as ZFS shows it", [
        ("engine/pipeline/intake_applied.cc",
         "last = settled_.shown(shown);\n",
         "last = shown;\n"),
    ]),
    ("full-store-hurries", "where all waits for room a token counts though it has not stood for long", [
        ("engine/pipeline/intake_applied.cc",
         "constexpr int kGroupsToStand = 12;\n",
         "constexpr int kGroupsToStand = 2;\n"),
    ]),
    ("sync-unawaited", "where all waits for room a token counts before the pool is synced", [
        ("engine/pipeline/intake_applied.cc",
         "can_sync_ && !over_) return sync_pool(*token);\n",
         "can_sync_ && !over_) return watch_applied(), look_at(token, true);\n"),
    ]),
    ("sync-unread", "a token counts as synced though the pool could not be synced", [
        ("engine/pipeline/intake_applied.cc",
         "look_at(shown, can_sync_);\n",
         "look_at(shown, true);\n"),
    ]),

    # What is read back.
    ("build-on-what-was-read", "a session is resumed without its journal being written anew", [
        ("engine/store/store.cc",
         "  if (Status status = session->take_over(); !status) return status.take_error();\n",
         ""),
        ("engine/pipeline/spool.cc",
         "  if (Status committed = open.session->commit(); !committed) return committed;\n",
         ""),
    ]),
    ("trust-a-torn-commit", "pages behind the last commit count", [
        ("engine/store/journal_reader.cc",
         "  if (reach->read == reach->committed) return content;\n",
         "  if (reach->read >= reach->committed) return content;\n"),
    ]),
    ("trust-a-torn-page", "a page of the journal counts though it does not open", [
        ("engine/store/page_reader.cc",
         "bytes->subspan(kPageHeaderBytes), plain))\n    return std::optional<Page>{};\n",
         "bytes->subspan(kPageHeaderBytes), plain))\n"
         "    std::ranges::copy(bytes->subspan(kPageHeaderBytes, plain.size()), plain.begin());\n"),
    ]),
    ("old-key", "a file that is made again has the key that it had", [
        ("engine/store/file_header.cc",
         "  random.fill(Bytes(bytes).subspan(kSaltAt, kCheckAt - kSaltAt));\n",
         "  (void)random;\n"),
    ]),
    ("old-key-of-segments", "a segment that is made again has the key that it had", [
        ("engine/store/file_header.cc",
         "  random.fill(Bytes(bytes).subspan(kSaltAt, kCheckAt - kSaltAt));\n",
         "  if (kind != FileKind::kSegment) random.fill(Bytes(bytes).subspan(kSaltAt, kCheckAt - kSaltAt));\n"),
    ]),

    # A target that comes back.
    ("life-not-raised", "a target that comes back has the life of the one before it", [
        ("engine/pipeline/spool.cc",
         "  ++read->life;\n",
         ""),
    ]),
    ("life-not-written", "a target that comes back twice has the same life twice", [
        ("engine/pipeline/spool.cc",
         "run_note(read->open.incarnation, read->life));\n",
         "run_note(read->open.incarnation, read->life - 1));\n"),
    ]),
    ("final-note-skipped", "the tail goes out, and that it may have is never written down", [
        ("engine/pipeline/spool.cc",
         "    open.session->set_note(store::Note::kFinal, note);\n",
         "    (void)note;\n"),
    ]),
    ("final-note-late", "the tail goes out while it is still being written down that it may", [
        ("engine/pipeline/intake.cc",
         "  spool_->note_final(*released_, of_this_pipeline([this](const Status& noted) {\n",
         "  spool_->note_final(*released_, [](const Status&) {});\n"
         "  host_.loop.post(of_this_pipeline([this, noted = Status()] {\n"),
    ]),
    ("record-ignored", "a target that comes back does not look whether its stream was complete", [
        ("engine/pipeline/target.cc",
         "  if (record && record->leaf_key == found.leaf_key) {\n",
         "  if (false && record && record->leaf_key == found.leaf_key) {\n"),
    ]),
    ("had-it-unasked", "a stream whose tail was let go is taken for received, whatever ZFS has", [
        ("engine/pipeline/intake_revival.cc",
         "  if (!answer->exit.success() || answer->output != std::to_string(final.toguid)) return start_over();\n",
         ""),
    ]),
    ("had-it-without-guid", "any snapshot of the name is taken for the stream's", [
        ("engine/pipeline/intake_revival.cc",
         "  if (!answer->exit.success() || answer->output != std::to_string(final.toguid)) return start_over();\n",
         "  if (!answer->exit.success()) return start_over();\n"),
    ]),
    ("revive-without-token", "a new consumer gets the stream from where the store has it, whatever ZFS kept", [
        ("engine/pipeline/intake_revival.cc",
         "  if (answer->exit.success() && answer->output.size() > 1) {\n",
         "  if (false && answer->exit.success() && answer->output.size() > 1) {\n"),
    ]),
    ("guess-where-zfs-is", "where ZFS kept nothing its consumer gets what the store still has", [
        ("engine/pipeline/intake_revival.cc",
         "  if (spool_->checkpoint().number == 0) {\n",
         "  if (spool_->checkpoint().number < limits::kBlocksMax) {\n"),
    ]),
    ("no-answer-is-no-token", "that ZFS does not answer is taken for its having kept nothing", [
        ("engine/pipeline/intake_revival.cc",
         "  if (!answer->exit.success() && (let_go || released_)) {\n",
         "  if (false && !answer->exit.success() && (let_go || released_)) {\n"),
    ]),

    # A source whose target has a store.
    ("let-go-at-received", "the source lets go of what is received and not yet durable", [
        ("engine/pipeline/flight.cc",
         "  let_go(stored ? ack.durable : ack.received);\n",
         "  let_go(ack.received);\n"),
    ]),
    ("empty-beyond-the-gap", "the source lets go of blocks beyond the gap that are not yet durable", [
        ("engine/pipeline/flight.cc",
         "    if (!stored) block.packed = {};\n",
         "    block.packed = {};\n"),
    ]),
    ("credit-not-anew", "credit of a target that died still counts", [
        ("engine/session/source_core.cc",
         "credit_ = news.credit_anew ? news.credit : std::max(credit_, news.credit); return;",
         "credit_ = std::max(credit_, news.credit); return;"),
    ]),
    ("old-life-counts", "the last words of a target that died are taken for the new one's", [
        ("engine/pipeline/source.cc",
         "    if (ack.life < target_life_) return;  // the last words of a target that died since\n",
         ""),
    ]),
    ("send-by-old-credit", "the source goes on by the credit of a target of which it heard that it is no more", [
        ("engine/pipeline/source.cc",
         " || heard_life_ > target_life_) return;\n",
         ") return;\n"),
    ]),
    ("anew-without-comparing", "what a new target lacks of what it had acknowledged is not sent again", [
        ("engine/pipeline/flight.cc",
         "    if (!there && homeless_.insert(number).second) sent_again_bytes_ += block.packed.bytes.size();\n",
         "    if (!there && !block.there && homeless_.insert(number).second) sent_again_bytes_ += block.packed.bytes.size();\n"),
    ]),

    # A later run of the source.
    ("take-over-not-written", "which run of the source has the session is not written down", [
        ("engine/pipeline/spool.cc",
         "    open.session->set_note(store::Note::kRun, run_note(incarnation, life));\n",
         "    (void)incarnation, (void)life;\n"),
    ]),
    ("take-over-late", "a later run is answered while it is still being written down that it has the session", [
        ("engine/pipeline/intake.cc",
         "      spool_->take_over(run, point.next_number, [this, point, run, done](Status noted) {\n"
         "        if (!noted) spool_->give_up(noted.take_error());\n"
         "        if (!over_) done(point, run);\n"
         "      });\n",
         "      spool_->take_over(run, point.next_number, [this](Status noted) {\n"
         "        if (!noted) spool_->give_up(noted.take_error());\n"
         "      });\n"
         "      done(point, run);\n"),
    ]),
    ("store-keeps-beyond-the-gap", "the store keeps blocks of the earlier run beyond the place where a later one goes on", [
        ("engine/pipeline/spool.cc",
         "    open.session->truncate(number);\n",
         "    (void)number;\n"),
    ]),

    # Blocks that are put together of chunks.
    ("skip-the-proof", "what was put together of chunks is taken for what the source has", [
        ("engine/pipeline/assembly.cc",
         "  if (seal::proof_of(leaf_key, offset, block) == recipe.proof()) return {};\n",
         "  if (true || seal::proof_of(leaf_key, offset, block) == recipe.proof()) return {};\n"),
    ]),
    ("answer-before-the-pin", "the source is told of what was found, and it may go before the block is put together", [
        ("engine/pipeline/resolver.cc",
         "    if (found && !disk.session->pin(found->place, named.number)) found.reset();\n",
         ""),
    ]),
    ("acknowledge-a-recipe-at-sight", "a recipe is told to be received, and durable, before a block was made of it", [
        ("engine/pipeline/resolver.h",
         "  void forget_all();\n",
         "  void forget_all();\n"
         "  bool resolving(std::uint64_t number) const { return resolving_.contains(number); }\n"),
        ("engine/pipeline/intake.cc",
         "  ack.durable = spool_->durable();\n",
         "  ack.durable = spool_->durable();\n"
         "  if (resolver_ && resolver_->resolving(ack.received) && ack.durable == ack.received) ++ack.durable;\n"
         "  if (resolver_ && resolver_->resolving(ack.received)) ++ack.received;\n"),
    ]),
    ("pin-after-the-blocks", "that a segment is pinned is written down one commit after the blocks that are made of it", [
        ("engine/store/state.h",
         "  std::map<PinnedSegment, std::uint64_t> unsynced_pins{};",
         "  std::map<PinnedSegment, Pin> late_pins{};\n  std::map<PinnedSegment, std::uint64_t> unsynced_pins{};"),
        ("engine/store/session_window.cc",
         "    pending.pin(segment_of, place.check, number);\n    changed = true;\n",
         "    late_pins[segment_of] = pin;\n"),
        ("engine/store/session_commit.cc",
         "  checkpoint_pending = false;\n  changed = false;\n",
         "  checkpoint_pending = false;\n  changed = false;\n"
         "  for (const auto& [late, pin] : late_pins) pending.pin(late, pin.check, pin.number), changed = true;\n"
         "  late_pins.clear();\n"),
    ]),
    ("pinned-unsynced", "what a block is made of is not synced before the journal that names the block", [
        ("engine/store/session_commit.cc",
         "  if (Status status = sync_pinned(); !status) return status;\n",
         "  unsynced_pins.clear();\n"),
    ]),
    ("evict-what-is-pinned", "a segment that blocks are made of goes where room is wanted", [
        ("engine/store/segment_table.h",
         "return !entry.owned && entry.pins == 0; }",
         "return !entry.owned; }"),
    ]),
    ("old-answers", "a later run of the source is served by what was found for the one before it", [
        ("engine/pipeline/intake.cc",
         "  if (resolver_) resolver_->forget_all();  // the new run names what it sends\n",
         ""),
    ]),
    ("answer-once", "what was said of chunks is not said again when a lane is lost", [
        ("engine/pipeline/target.cc",
         "  intake_.say_needs_again();\n",
         ""),
    ]),
]
