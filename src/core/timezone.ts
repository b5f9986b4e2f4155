// IANA time zone names: which are accepted, and which name stands for a zone. Legacy names become the current one by our
// own table, because Node's answer depends on its ICU (Asia/Kolkata comes back as Asia/Calcutta from some releases) and a
// profile must not change with the runtime. Abbreviations (EST) and offsets (UTC+5:30) are no zones: SuprSend refuses them.

/** Current name = legacy names. From tzdata 2025b `backward`, without the links that cross countries (zone.tab has those). */
const LEGACY = `
Africa/Asmara=Africa/Asmera Africa/Bamako=Africa/Timbuktu Africa/Cairo=Egypt Africa/Tripoli=Libya
America/Adak=America/Atka,US/Aleutian America/Anchorage=US/Alaska
America/Argentina/Buenos_Aires=America/Buenos_Aires
America/Argentina/Catamarca=America/Catamarca,America/Argentina/ComodRivadavia
America/Argentina/Cordoba=America/Cordoba,America/Rosario America/Argentina/Jujuy=America/Jujuy
America/Argentina/Mendoza=America/Mendoza America/Atikokan=America/Coral_Harbour
America/Chicago=US/Central America/Denver=America/Shiprock,Navajo,US/Mountain America/Detroit=US/Michigan
America/Edmonton=America/Yellowknife,Canada/Mountain America/Halifax=Canada/Atlantic America/Havana=Cuba
America/Indiana/Indianapolis=America/Fort_Wayne,America/Indianapolis,US/East-Indiana
America/Indiana/Knox=America/Knox_IN,US/Indiana-Starke America/Iqaluit=America/Pangnirtung
America/Jamaica=Jamaica America/Kentucky/Louisville=America/Louisville America/Los_Angeles=US/Pacific
America/Manaus=Brazil/West America/Mazatlan=Mexico/BajaSur America/Mexico_City=Mexico/General
America/New_York=US/Eastern America/Noronha=Brazil/DeNoronha America/Nuuk=America/Godthab
America/Phoenix=US/Arizona America/Regina=Canada/Saskatchewan America/Rio_Branco=America/Porto_Acre,Brazil/Acre
America/Santiago=Chile/Continental America/Sao_Paulo=Brazil/East America/St_Johns=Canada/Newfoundland
America/St_Thomas=America/Virgin America/Tijuana=America/Ensenada,America/Santa_Isabel,Mexico/BajaNorte
America/Toronto=America/Montreal,America/Nipigon,America/Thunder_Bay,Canada/Eastern
America/Vancouver=Canada/Pacific America/Whitehorse=Canada/Yukon America/Winnipeg=America/Rainy_River,Canada/Central
Antarctica/McMurdo=Antarctica/South_Pole Arctic/Longyearbyen=Atlantic/Jan_Mayen Asia/Ashgabat=Asia/Ashkhabad
Asia/Dhaka=Asia/Dacca Asia/Ho_Chi_Minh=Asia/Saigon Asia/Hong_Kong=Hongkong Asia/Jerusalem=Asia/Tel_Aviv,Israel
Asia/Kathmandu=Asia/Katmandu Asia/Kolkata=Asia/Calcutta Asia/Macau=Asia/Macao Asia/Makassar=Asia/Ujung_Pandang
Asia/Nicosia=Europe/Nicosia Asia/Seoul=ROK Asia/Shanghai=Asia/Chongqing,Asia/Chungking,Asia/Harbin,PRC
Asia/Singapore=Singapore Asia/Taipei=ROC Asia/Tehran=Iran Asia/Thimphu=Asia/Thimbu Asia/Tokyo=Japan
Asia/Ulaanbaatar=Asia/Choibalsan,Asia/Ulan_Bator Asia/Urumqi=Asia/Kashgar Asia/Yangon=Asia/Rangoon
Atlantic/Faroe=Atlantic/Faeroe Atlantic/Reykjavik=Iceland Australia/Adelaide=Australia/South
Australia/Brisbane=Australia/Queensland Australia/Broken_Hill=Australia/Yancowinna Australia/Darwin=Australia/North
Australia/Hobart=Australia/Currie,Australia/Tasmania Australia/Lord_Howe=Australia/LHI
Australia/Melbourne=Australia/Victoria Australia/Perth=Australia/West
Australia/Sydney=Australia/ACT,Australia/Canberra,Australia/NSW Europe/Chisinau=Europe/Tiraspol Europe/Dublin=Eire
Europe/Istanbul=Asia/Istanbul,Turkey Europe/Kyiv=Europe/Kiev,Europe/Uzhgorod,Europe/Zaporozhye
Europe/Lisbon=Portugal Europe/London=Europe/Belfast,GB,GB-Eire Europe/Moscow=W-SU Europe/Warsaw=Poland
Pacific/Auckland=NZ Pacific/Chatham=NZ-CHAT Pacific/Chuuk=Pacific/Truk,Pacific/Yap
Pacific/Easter=Chile/EasterIsland Pacific/Honolulu=Pacific/Johnston,US/Hawaii Pacific/Kanton=Pacific/Enderbury
Pacific/Kwajalein=Kwajalein Pacific/Pago_Pago=Pacific/Samoa,US/Samoa Pacific/Pohnpei=Pacific/Ponape
UTC=Etc/GMT,Etc/GMT+0,Etc/GMT-0,Etc/GMT0,Etc/Greenwich,Etc/UCT,Etc/UTC,Etc/Universal,Etc/Zulu,GMT,GMT+0,GMT-0,GMT0
UTC=Greenwich,UCT,Universal,Zulu`

const CURRENT: ReadonlyMap<string, string> = zoneNames()

/** The current IANA name, whatever the case of the text; null when it names no zone. */
export function canonicalTimezone(text: string): string | null {
  return CURRENT.get(text.toLowerCase()) ?? null
}

function zoneNames(): Map<string, string> {
  const names = new Map<string, string>([['utc', 'UTC']])
  for (const zone of Intl.supportedValuesOf('timeZone')) if (zone.includes('/')) names.set(zone.toLowerCase(), zone)
  for (let hours = 1; hours <= 14; hours++) {
    names.set(`etc/gmt-${hours}`, `Etc/GMT-${hours}`)
    if (hours <= 12) names.set(`etc/gmt+${hours}`, `Etc/GMT+${hours}`)
  }
  for (const group of LEGACY.trim().split(/\s+/)) {
    const [current = '', legacy = ''] = group.split('=')
    names.set(current.toLowerCase(), current)
    for (const name of legacy.split(',')) names.set(name.toLowerCase(), current)
  }
  return names
}
