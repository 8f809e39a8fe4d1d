"""compare_views.py EXPECTED PERFETTO_TEXT CHROME — both views have the operations, stages and times of EXPECTED.

EXPECTED is what write_views writes. PERFETTO_TEXT is what protoc --decode prints. CHROME is JSON.
"""
import collections
import json
import re
import sys


def fail(text):
    sys.exit('FAILED: ' + text)


def expected(path):
    """{number: [(name, begin, end), ...]}: the operation first, then its stages."""
    found = {}
    for line in open(path):
        number, *rest = line.split()
        found[int(number)] = [(rest[i], int(rest[i + 1]), int(rest[i + 2])) for i in range(0, len(rest), 3)]
    return found


def parse_text_format(path):
    """Each packet as nested dictionaries of lists."""
    stack, field = [collections.defaultdict(list)], re.compile(r'\s*(\w+)(?: \{|: (.*))$')
    for line in open(path):
        line = line.rstrip('\n')
        if line.endswith('}') and line.strip() == '}':
            stack.pop()
            continue
        match = field.match(line)
        if not match:
            fail('protoc printed: ' + line)
        name, value = match.groups()
        if re.match(r'\d+$', name):
            fail('Perfetto has no field %s here' % name)
        if value is None:
            inner = collections.defaultdict(list)
            stack[-1][name].append(inner)
            stack.append(inner)
        else:
            stack[-1][name].append(value.strip('"'))
    return stack[0]['packet']


def from_perfetto(packets):
    names, annotations, tracks, open_slices, operations = {}, {}, {}, collections.defaultdict(list), {}
    flows, ended_flows, clocks = set(), set(), []
    for packet in packets:
        if packet['trusted_packet_sequence_id'] != ['1']:
            fail('a packet belongs to no sequence')
        for track in packet['track_descriptor']:
            tracks[track['uuid'][0]] = track
        for snapshot in packet['clock_snapshot']:
            clocks += [clock['clock_id'][0] for clock in snapshot['clocks']]
        for news in packet['interned_data']:
            names.update((one['iid'][0], one['name'][0]) for one in news['event_names'])
            annotations.update((one['iid'][0], one['name'][0]) for one in news['debug_annotation_names'])
        for event in packet['track_event']:
            track, at = event['track_uuid'][0], int(packet['timestamp'][0])
            if track not in tracks:
                fail('nothing describes track ' + track)
            flows.update(event['flow_ids'])
            ended_flows.update(event['terminating_flow_ids'])
            if event['type'] == ['SLICE_BEGIN']:
                name = names[event['name_iid'][0]]
                said = {annotations[one['name_iid'][0]]: (one['int_value'] + one['string_value'])[0]
                        for one in event['debug_annotations']}
                number = said.get('number') or (open_slices[track][-1][0] if open_slices[track] else None)
                if 'number' in said and open_slices[track]:
                    fail('operations %s and %s share a row' % (number, open_slices[track][-1][0]))
                open_slices[track].append((number, name, at))
            elif event['type'] == ['SLICE_END']:
                if not open_slices[track]:
                    fail('something ends on track %s that has not begun' % track)
                number, name, begin = open_slices[track].pop()
                if number is not None:
                    operations.setdefault(int(number), []).append((name, begin, at))
    left = {track: slices for track, slices in open_slices.items() if slices}
    if left:
        fail('these have no end: %s' % left)
    if not ended_flows <= flows or not flows:
        fail('arrows end that have not begun')
    if clocks != ['5', '1']:
        fail('the clocks are %s' % clocks)
    return operations


def from_chrome(path):
    trace = json.load(open(path))
    start = trace['otherData']['started_ns']
    opened, operations, busy_until = collections.defaultdict(list), {}, {}
    for event in trace['traceEvents']:
        if 'ts' in event:
            at = start + round(event['ts'] * 1000)
        if event['ph'] == 'X':
            if at < busy_until.get(event['tid'], 0):
                fail('complete events overlap: %s' % event)
            busy_until[event['tid']] = at + round(event['dur'] * 1000)
        elif event['ph'] == 'b':
            opened[event['id']].append((event['name'], at))
        elif event['ph'] == 'e':
            name, begin = opened[event['id']].pop()
            if name != event['name']:
                fail('%s ends where %s is open' % (event['name'], name))
            operations.setdefault(int(event['id']), []).append((name, begin, at))
    if any(opened.values()):
        fail('something has no end')
    return operations


def compare(what, found, wanted):
    if len(found) != len(wanted):
        fail('%s has %d operations, not %d' % (what, len(found), len(wanted)))
    for number, slices in wanted.items():
        if sorted(found[number]) != sorted(slices):
            fail('%s, operation %d: %s is not %s' % (what, number, sorted(found[number]), sorted(slices)))


wanted = expected(sys.argv[1])
if len(wanted) < 100:
    fail('there are too few operations to compare')
compare('Perfetto', from_perfetto(parse_text_format(sys.argv[2])), wanted)
compare('Chrome', from_chrome(sys.argv[3]), wanted)
print('%d operations with %d slices are the same in both' % (len(wanted), sum(map(len, wanted.values()))))
